package proxy

// injectionSeeds are connections of clients that try to send an injected name
// themselves, to keep it from being injected, or to send a request more. Lines
// end with "\n", which stands for CRLF.
func injectionSeeds() []string {
	return []string{
		"GET /x?a=1 HTTP/1.1\nHost: localhost\nUser-Agent: app/1\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc",
		// Spellings of headers.
		"GET / HTTP/1.1\nHost: localhost\nAccess_Token: evil\nACCESS-TOKEN: evil\naccess.token: evil\nAccess~Token: evil\nauthorization: evil\n\n",
		"GET / HTTP/1.1\nHost: localhost\nAuthorization: evil\nAuthorization: evil\nUser_Id: 7\nUSER-ID: 8\nuser.id: 9\n\n",
		"GET / HTTP/1.1\nHost: localhost\nOperationID: mine\n\n",
		"GET / HTTP/1.1\nHost: localhost\nOperationID: one\noperationid: two\nOPERATIONID:\n\n",
		"GET / HTTP/1.1\nHost: localhost\nX-A: 1\n Access-Token: folded\nAccess-Token : evil\n\n",
		"POST / HTTP/1.1\nHost: localhost\nIdempotency-Key: mine\nIdempotency_Key: evil\nX-Idempotency-Key: x\nContent-Length: 0\n\n",
		// Names that are declared to be the connection's.
		"GET / HTTP/1.1\nHost: localhost\nConnection: authorization, Access-Token, cookie\nCookie: a=1\nAuthorization: evil\n\n",
		"GET / HTTP/1.1\nHost: localhost\nConnection: close, OperationID\nOperationID: mine\nProxy-Connection: access-token\n\n",
		"GET / HTTP/1.1\nHost: localhost\nConnection: keep-alive\nConnection: Content-Length, Host, Transfer-Encoding\nContent-Length: 0\n\n",
		// Cookies.
		"GET / HTTP/1.1\nHost: localhost\nCookie: a=1; sid=evil; SID=evil; b=2\nCookie: sid=evil, sid=evil;sid\n\n",
		"GET / HTTP/1.1\nHost: localhost\nCookie: sid=mine\n\n",
		"GET / HTTP/1.1\nHost: localhost\nCookie: sid = evil;\tsid=evil; \xa0sid=evil; a=\"; sid=evil; \"\n\n",
		// Queries.
		"GET /x?access_token=evil&%61ccess_token=evil&ACCESS%5fTOKEN=evil&b HTTP/1.1\nHost: localhost\n\n",
		"GET /x?access_token=mine HTTP/1.1\nHost: localhost\n\n",
		"GET /x?a;access_token=evil HTTP/1.1\nHost: localhost\n\n",
		"GET /x?a=%zz&access_token=evil% HTTP/1.1\nHost: localhost\n\n",
		"GET /x?access_token[]=evil&access_token%5B0%5D=evil&access_token[a][b]=evil HTTP/1.1\nHost: localhost\n\n",
		"GET /x?&&access+token=1&=access_token&access_token HTTP/1.1\nHost: localhost\n\n",
		// Bodies and trailers.
		"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTrailer: Access-Token, X-Sum, Cookie, user_id\n\n3\nabc\n0\nAccess-Token: evil\nX-Sum: 1\nCookie: sid=evil\nuser_id: 7\nAuthorization: evil\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3;x=\"a\"\nabc\n0\n\nGET /y HTTP/1.1\nHost: localhost\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\nGET /y HTTP/1.1\nHost: localhost\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\nContent-Length: 40\n\nabcGET /y HTTP/1.1\nHost: localhost\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked, identity\nTransfer_Encoding: chunked\n\n0\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nContent_Length: 0\nContent-Length: 35\n\nGET /y HTTP/1.1\nHost: localhost\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 100\n\ncut off",
		"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\nzz\nabc\n0\n\n",
		"POST /x HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 3\n\nabc",
		"POST /x HTTP/1.1\nHost: localhost\nExpect: something\nContent-Length: 3\n\nabc",
		// Several requests on one connection.
		"GET /1 HTTP/1.1\nHost: localhost\n\nPOST /2 HTTP/1.1\nHost: localhost\nContent-Length: 2\n\nab\nGET /3 HTTP/1.1\nHost: localhost\nConnection: close\n\nGET /4 HTTP/1.1\nHost: localhost\n\n",
		"POST /x?%zz HTTP/1.1\nHost: localhost\nContent-Length: 35\n\nGET /y HTTP/1.1\nHost: localhost\n\nGET /z HTTP/1.1\nHost: localhost\n\n",
		"HEAD /1 HTTP/1.1\nHost: localhost\n\nGET /2 HTTP/1.0\nHost: localhost\nConnection: keep-alive\n\nGET /3 HTTP/1.0\n\n",
		// Upgrades.
		"GET /ws HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: k\nSec-WebSocket-Version: 13\n\nGET /y HTTP/1.1\nHost: localhost\n\n",
		"GET /refused HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n\nGET /y HTTP/1.1\nHost: localhost\nAccess-Token: evil\n\n",
		"GET /ws HTTP/1.1\nHost: localhost\nConnection: Upgrade, Access-Token\nUpgrade: WebSocket\nAccess-Token: evil\n\n",
		"GET /ws HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 3\n\nabc",
		"GET / HTTP/1.1\nHost: localhost\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n",
		// Forms and places of the target.
		"GET http://evil.example/x HTTP/1.1\nHost: localhost\n\n",
		"GET //evil.example/x|y HTTP/1.1\nHost: evil.example\nX-Forwarded-Host: evil.example\n\n",
		"GET /\\evil.example/%2e%2e/..;/ HTTP/1.1\nHost: user@evil.example\n\n",
		"CONNECT evil.example:443 HTTP/1.1\nHost: evil.example:443\n\nGET / HTTP/1.1\nHost: localhost\n\n",
		"OPTIONS * HTTP/1.1\nHost: localhost\n\nTRACE / HTTP/1.1\nHost: localhost\n\n",
		"GET /a|b\"<>^`{}%41%2f;x=1?q=\"<>`{}|\\^ HTTP/1.1\nHost: localhost\nX-High: \xff\xfe\n\n",
	}
}
