package interop

import (
	"fmt"
	"strings"
)

// rawCase is what one client writes on one connection.
type rawCase struct {
	name string
	raw  string
	// holds is how many requests RFC 9112 lets a recipient find in raw, read
	// as generously as it allows. They are numbered {id}.1, {id}.2 and so on
	// by their X-Id; only these may reach an upstream, each once.
	holds int
	// arrives: all of them must reach the upstream when nothing but attache is
	// in between; the last one ends the connection. Without such cases a proxy
	// that refuses everything would pass.
	arrives bool
}

// Every request carries a token of the client's own in the header and in the
// query; neither may go past attache.
const (
	clientToken = "client-secret"
	ownTarget   = "/{id}?access_token=" + clientToken
	ownFields   = "Host: 127.0.0.1\r\nX-Id: {id}.1\r\nAuthorization: " + clientToken + "\r\nX-Api-Key: " + clientToken + "\r\n"
	// inner is what the body of a case tries to pass off as a request.
	inner = "GET /inner?access_token=" + clientToken + " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Id: {id}.2\r\nConnection: close\r\n\r\n"
	// chunkedInner is inner as the only chunk of a body.
	chunkedInner = "{inner-size}\r\n" + inner + "\r\n0\r\n\r\n"
)

// get is a GET with more lines in its head; each ends with its own CRLF, or with
// what the case wants to see there.
func get(lines string) string {
	return "GET " + ownTarget + " HTTP/1.1\r\n" + ownFields + lines + "\r\n"
}

func post(lines, body string) string {
	return "POST " + ownTarget + " HTTP/1.1\r\n" + ownFields + lines + "\r\n" + body
}

func target(method, target, version string) string {
	return method + " " + target + " " + version + "\r\n" + ownFields + "Connection: close\r\n\r\n"
}

// fill puts the case's id and the sizes into a template.
func fill(raw, id string) string {
	filled := strings.ReplaceAll(inner, "{id}", id)
	return strings.NewReplacer("{id}", id, "{inner-size}", fmt.Sprintf("%x", len(filled)),
		"{inner-digits}", fmt.Sprint(len(fmt.Sprintf("%x\r\n", len(filled)))), "{inner+5}", fmt.Sprint(len(filled)+5), "{inner}", fmt.Sprint(len(filled))).Replace(raw)
}

// corpus returns all cases, each alone and behind another request on the same
// connection.
func corpus() []rawCase {
	var cases []rawCase
	for _, family := range [][]rawCase{plainCases(), codingCases(), lengthCases(), chunkCases(), trailerCases(),
		byteCases(), fieldCases(), hostCases(), targetCases(), lineCases(), expectCases(), spellingCases(), queryCases(), sizeCases()} {
		cases = append(cases, family...)
	}
	for _, c := range cases {
		first := "GET /{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Id: {id}.0\r\n\r\n"
		cases = append(cases, rawCase{c.name + ", behind another request", first + c.raw, c.holds, c.arrives})
	}
	return cases
}

// plainCases have nothing wrong with them.
func plainCases() []rawCase {
	return []rawCase{
		{"GET", get("Connection: close\r\n"), 1, true},
		{"POST with Content-Length", post("Connection: close\r\nContent-Length: 5\r\n", "hello"), 1, true},
		{"POST in chunks", post("Connection: close\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), 1, true},
		{"pipelined GETs", get("") + inner, 2, true},
		{"pipelined behind Content-Length", post("Content-Length: 5\r\n", "hello"+inner), 2, true},
		{"pipelined behind chunks", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"+inner), 2, true},
		{"a request as body", post("Connection: close\r\nContent-Length: {inner}\r\n", inner), 1, true},
		{"a request as chunk", post("Connection: close\r\nTransfer-Encoding: chunked\r\n", chunkedInner), 1, true},
		{"GET with a body", get("Connection: close\r\nContent-Length: {inner}\r\n") + inner, 1, true},
		{"GET with chunks", get("Connection: close\r\nTransfer-Encoding: chunked\r\n") + chunkedInner, 1, true},
		{"HEAD with a body", strings.Replace(get("Connection: close\r\nContent-Length: {inner}\r\n"), "GET", "HEAD", 1) + inner, 1, true},
		{"DELETE with a body", strings.Replace(get("Connection: close\r\nContent-Length: {inner}\r\n"), "GET", "DELETE", 1) + inner, 1, true},
		{"OPTIONS with chunks", strings.Replace(get("Connection: close\r\nTransfer-Encoding: chunked\r\n"), "GET", "OPTIONS", 1) + chunkedInner, 1, true},
		{"TRACE with a body", strings.Replace(get("Connection: close\r\nContent-Length: {inner}\r\n"), "GET", "TRACE", 1) + inner, 1, false},
		{"empty lines before the request", "\r\n\r\n" + get("Connection: close\r\n"), 1, false},
		{"body shorter than said", post("Content-Length: 1000\r\n", "hello"+inner), 0, false},
		{"chunks without an end", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"), 0, false},
		{"POST without a length, then bytes", post("", inner), 2, true},
		{"head without an end", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Id: {id}.1\r\n", 0, false},
	}
}

// codingCases state a length and, in many spellings, a transfer coding. Who
// ends the body by the other one of the two finds the inner request.
func codingCases() []rawCase {
	var cases []rawCase
	for _, c := range codingSpellings() {
		byCoding, byLength := 1, 1
		switch c.kind {
		case coding:
			// The coding wins. RFC 9112, 6.1 wants the connection closed
			// afterwards, but net/http keeps it: what follows is a request.
			byCoding = 2
		case other:
			byLength = 2
		}
		cases = append(cases,
			rawCase{"CL.TE " + c.name, post("Content-Length: {inner+5}\r\n"+c.line, "0\r\n\r\n"+inner), byCoding, false},
			rawCase{"TE.CL " + c.name, post("Content-Length: {inner-digits}\r\n"+c.line, "{inner-size}\r\n"+inner+"\r\n0\r\n\r\n"), byLength, false},
			rawCase{"TE alone " + c.name, post(c.line, chunkedInner), 1, false},
		)
	}
	return cases
}

// The kinds of codingSpelling.
const (
	refused = iota // not to be understood by anyone
	coding         // chunked
	other          // no Transfer-Encoding
)

type codingSpelling struct {
	name, line string
	// kind says what the generous reading is: a field of another name, or part
	// of the value before it, says nothing about where the body ends.
	kind int
}

func codingSpellings() []codingSpelling {
	return []codingSpelling{
		{"chunked", "Transfer-Encoding: chunked\r\n", coding},
		{"Chunked", "Transfer-Encoding: Chunked\r\n", coding},
		{"CHUNKED and name in capitals", "TRANSFER-ENCODING: CHUNKED\r\n", coding},
		{"no space", "Transfer-Encoding:chunked\r\n", coding},
		{"tab before", "Transfer-Encoding:\tchunked\r\n", coding},
		{"tab behind", "Transfer-Encoding: chunked\t\r\n", coding},
		{"space behind", "Transfer-Encoding: chunked \r\n", coding},
		{"vertical tab before", "Transfer-Encoding: \vchunked\r\n", refused},
		{"vertical tab behind", "Transfer-Encoding: chunked\v\r\n", refused},
		{"form feed", "Transfer-Encoding: \fchunked\r\n", refused},
		{"NUL behind", "Transfer-Encoding: chunked\x00\r\n", refused},
		{"CR behind", "Transfer-Encoding: chunked\r\r\n", refused},
		{"0x85 before", "Transfer-Encoding: \x85chunked\r\n", refused},
		{"no-break space", "Transfer-Encoding: \u00a0chunked\r\n", refused},
		{"Kelvin sign for k", "Transfer-Encoding: chun\u212aed\r\n", refused},
		{"space before the colon", "Transfer-Encoding : chunked\r\n", refused},
		{"tab before the colon", "Transfer-Encoding\t: chunked\r\n", refused},
		{"NUL before the colon", "Transfer-Encoding\x00: chunked\r\n", refused},
		{"space before the name", " Transfer-Encoding: chunked\r\n", other},
		{"tab before the name", "\tTransfer-Encoding: chunked\r\n", other},
		{"folded", "Transfer-Encoding:\r\n chunked\r\n", coding},
		{"folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n", coding},
		{"folded by LF", "Transfer-Encoding:\n chunked\r\n", coding},
		{"hidden behind LF", "X-Other: x\nTransfer-Encoding: chunked\r\n", coding},
		{"hidden behind CR", "X-Other: x\rTransfer-Encoding: chunked\r\n", other},
		{"twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", refused},
		{"twice, then identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", refused},
		{"twice, first unknown", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", refused},
		{"twice, second unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", refused},
		{"twice, first empty", "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", refused},
		{"chunked, identity", "Transfer-Encoding: chunked, identity\r\n", refused},
		{"identity, chunked", "Transfer-Encoding: identity, chunked\r\n", refused},
		{"gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", refused},
		{"chunked, gzip", "Transfer-Encoding: chunked, gzip\r\n", refused},
		{"chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n", refused},
		{"leading comma", "Transfer-Encoding: , chunked\r\n", refused},
		{"trailing comma", "Transfer-Encoding: chunked,\r\n", refused},
		{"parameter", "Transfer-Encoding: chunked;x=y\r\n", refused},
		{"quoted", "Transfer-Encoding: \"chunked\"\r\n", refused},
		{"single quotes", "Transfer-Encoding: 'chunked'\r\n", refused},
		{"xchunked", "Transfer-Encoding: xchunked\r\n", refused},
		{"chunkedx", "Transfer-Encoding: chunkedx\r\n", refused},
		{"chunke", "Transfer-Encoding: chunke\r\n", refused},
		{"cow", "Transfer-Encoding: cow\r\n", refused},
		{"identity", "Transfer-Encoding: identity\r\n", refused},
		{"empty", "Transfer-Encoding:\r\n", refused},
		{"underscore", "Transfer_Encoding: chunked\r\n", other},
		{"X-", "X-Transfer-Encoding: chunked\r\n", other},
		{"TE", "TE: chunked\r\n", other},
		{"Content-Encoding", "Content-Encoding: chunked\r\n", other},
		{"named by Connection", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", coding},
		{"length named by Connection", "Connection: Content-Length\r\nTransfer-Encoding: chunked\r\n", coding},
	}
}

// lengthCases state lengths of a body of 5 bytes with a request behind it.
func lengthCases() []rawCase {
	var cases []rawCase
	odd := []string{"+5", "-5", "-1", "5 5", "0x5", "5,6", "5, 6", "6,5", "5;", "5.0", "5e0", "\"5\"", "5\v", "\v5", "5\x00",
		"\u0665", "5_0", "5a", "a", "", ",", ",5", "5,", "18446744073709551621", "9223372036854775808", "4294967301", "99999999999999999999999999", "NaN", "5\u00a0"}
	for _, value := range odd {
		cases = append(cases, rawCase{fmt.Sprintf("length %+q", value), post("Content-Length: "+value+"\r\n", "hello"+inner), 0, false})
	}
	// Recipients may take a list of equal values for one value, and zeros in
	// front are digits as well. nginx takes a CR before CRLF for no part of the
	// value.
	for _, value := range []string{"5", "5,5", "5, 5", "05", "0000000000000005", "05 ", "5 ", "5\t", "5\r"} {
		cases = append(cases, rawCase{fmt.Sprintf("length %q", value), post("Content-Length: "+value+"\r\n", "hello"+inner), 2, value == "5"})
	}
	for _, c := range []struct {
		name, lines string
		holds       int
	}{
		{"5 twice", "Content-Length: 5\r\nContent-Length: 5\r\n", 2},
		{"5 and 05", "Content-Length: 5\r\nContent-Length: 05\r\n", 2},
		{"5 and 6", "Content-Length: 5\r\nContent-Length: 6\r\n", refused},
		{"0 and 5", "Content-Length: 0\r\nContent-Length: 5\r\n", refused},
		{"5 and 0", "Content-Length: 5\r\nContent-Length: 0\r\n", refused},
		{"5 and nothing", "Content-Length: 5\r\nContent-Length:\r\n", refused},
		{"nothing and 5", "Content-Length:\r\nContent-Length: 5\r\n", refused},
		{"5 and another case", "Content-Length: 5\r\ncontent-length: 6\r\n", refused},
		{"space before the colon", "Content-Length : 5\r\n", refused},
		{"5 and an underscore's", "Content-Length: 5\r\nContent_Length: {inner+5}\r\n", 2},
		{"folded", "Content-Length:\r\n 5\r\n", 2},
		{"fold adds a digit", "Content-Length: 5\r\n 5\r\n", refused},
		{"fold hides it", "X-Other: x\r\n Content-Length: 500\r\nContent-Length: 5\r\n", 2},
		{"named by Connection", "Connection: content-length\r\nContent-Length: 5\r\n", 2},
		{"hidden behind LF", "X-Other: x\nContent-Length: 5\r\n", 2},
		{"hidden behind CR", "X-Other: x\rContent-Length: 0\r\nContent-Length: 5\r\n", 2},
	} {
		cases = append(cases, rawCase{"lengths: " + c.name, post(c.lines, "hello"+inner), c.holds, false})
	}
	return cases
}
