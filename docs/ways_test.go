package docs

import (
	"testing"

	"attache/internal/picture"
)

func at(x, y float64) picture.Point { return picture.Point{X: x, Y: y} }

// The picture in the README is drawn here.
func TestWaysAreGenerated(t *testing.T) {
	p := picture.New("The way of a request and the way of a token through attache",
		"In a pod, or on one machine, the application sends a plain request to attache, which removes credentials that the client sent, adds the newest token and passes it to the vendor's API. "+
			"The answer is judged: a good one goes back to the application; a refused one makes the token engine log in again, and the request is replayed. "+
			"The engine renews tokens in the background at the vendor's token server, and may keep them in a store that replicas share. Prometheus, the kubelet and people see metrics, health and status.")
	p.Head("The way of a request, and the way of a token")
	drawParties(p)
	drawRequestWay(p)
	drawTokenWay(p)
	for i, way := range []struct {
		hue  picture.Hue
		name string
	}{{picture.Request, "the request’s way"}, {picture.Token, "the token’s way"}, {picture.Trouble, "the repair"}} {
		x := 170 + float64(i)*205
		p.Arrow(way.hue, at(x, 596), at(x+38, 596))
		p.Text(picture.Text, x+48, 600, picture.Start, way.name)
	}
	keepPicture(t, "ways", p.SVG(622))
}

// drawParties draws who has a part in it.
func drawParties(p *picture.Picture) {
	p.Sheet(20, 62, 632, 424, "", "")
	p.Text(picture.Case, 36, 88, picture.Start, "A pod, or one machine")
	p.Box(picture.Plain, 36, 140, 122, 178, "Application", "holds no secret,", "has no token", "code")
	p.Box(picture.Own, 268, 104, 372, 366, "")
	p.Text(picture.Own.Strong(), 454, 128, picture.Middle, "attache")
	p.Box(picture.Plain, 746, 140, 134, 178, "Vendor’s API", "knows good tokens", "from bad ones")
	p.Box(picture.Plain, 746, 352, 134, 84, "Token server", "takes the secret")
	p.Box(picture.Plain, 746, 504, 134, 64, "Store", "a file, or Redis")
	p.Box(picture.Plain, 268, 516, 230, 52, "Prometheus, kubelet, you", "metrics, health, status")
	p.Arrow(picture.Plain, at(383, 514), at(383, 472))
}

func drawRequestWay(p *picture.Picture) {
	p.Box(picture.Request, 282, 146, 90, 54, "route", "host, path")
	p.Box(picture.Request, 394, 146, 120, 54, "strip", "client’s tokens")
	p.Box(picture.Request, 536, 146, 90, 54, "add", "the token")
	p.Box(picture.Request, 368, 262, 160, 54, "judge", "status, header, body")
	for _, way := range [][2]float64{{160, 280}, {373, 393}, {515, 535}, {627, 744}} {
		p.Arrow(picture.Request, at(way[0], 173), at(way[1], 173))
	}
	p.Arrow(picture.Request, at(744, 289), at(530, 289))
	p.Arrow(picture.Request, at(366, 289), at(160, 289))
	words := picture.Request.Words()
	p.Text(words, 213, 163, picture.Middle, "plain request")
	p.Text(words, 699, 163, picture.Middle, "with token")
	p.Text(words, 699, 279, picture.Middle, "answer")
	p.Text(words, 213, 279, picture.Middle, "good answer")
	p.DashedArrow(picture.Trouble, at(488, 260), at(488, 232), at(560, 232), at(560, 202))
	p.Text(picture.Trouble.Words(), 480, 236, picture.End, "replay")
}

func drawTokenWay(p *picture.Picture) {
	p.Box(picture.Token, 282, 352, 344, 104, "")
	p.Text(picture.Token.Strong(), 454, 373, picture.Middle, "token engine: renews before expiry")
	for i, token := range [][2]string{{"access", "generation 7"}, {"user anna", "generation 3"}, {"user ben", "generation 5"}} {
		p.Box(picture.Token, 294+float64(i)*110, 384, 100, 44, token[0], token[1])
	}
	// The users' logins need the access token.
	p.Arrow(picture.Token, at(344, 429), at(344, 443), at(454, 443), at(454, 430))
	p.Arrow(picture.Token, at(454, 443), at(564, 443), at(564, 430))
	p.Arrow(picture.Token, at(602, 350), at(602, 202))
	p.Text(picture.Token.Words(), 594, 252, picture.End, "newest")
	p.Text(picture.Token.Words(), 594, 270, picture.End, "token")
	p.Arrow(picture.Trouble, at(404, 318), at(404, 350))
	p.Text(picture.Trouble.Words(), 396, 338, picture.End, "refused")
	p.Arrow(picture.Token, at(480, 318), at(480, 350))
	p.Text(picture.Token.Words(), 489, 338, picture.Start, "renewed")
	p.Arrow(picture.Token, at(628, 374), at(744, 374))
	p.Arrow(picture.Token, at(744, 414), at(628, 414))
	p.Text(picture.Token.Words(), 699, 364, picture.Middle, "log in")
	p.Text(picture.Token.Words(), 699, 432, picture.Middle, "token")
	p.Arrow(picture.Token, at(594, 536), at(744, 536))
	p.Arrow(picture.Token, at(620, 536), at(594, 536), at(594, 458))
	p.Text(picture.Token.Words(), 699, 526, picture.Middle, "if wanted")
}
