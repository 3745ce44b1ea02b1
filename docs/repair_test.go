package docs

import (
	"testing"

	"attache/internal/picture"
)

// The picture of the README's section "How a refusal is repaired" is drawn here.
func TestRepairIsGenerated(t *testing.T) {
	p := picture.New("How a refused request is repaired",
		"Three requests go through attache to the vendor's API with token 7. All three are refused. attache holds the answers and logs in once at the token server, which gives it token 8. "+
			"Each of the three requests is sent once more with token 8, and the application gets three good answers.")
	y := p.Head("Three refusals, one login, three good answers", "The numbers are those of the steps in the text.")
	const app, attache, api, vendor = 0, 1, 2, 3
	s := picture.Sequence{
		Parties: []picture.Party{
			{Hue: picture.Plain, Name: "Application"},
			{Hue: picture.Own, Name: "attache"},
			{Hue: picture.Plain, Name: "Vendor’s API"},
			{Hue: picture.Plain, Name: "Token server"},
		},
		Steps: []picture.Step{
			{From: app, To: attache, Hue: picture.Request, Text: "three requests", Times: 3},
			{From: attache, To: api, Hue: picture.Request, Text: "with token 7", Times: 3},
			{From: api, To: attache, Hue: picture.Trouble, Text: "refused, all three", Times: 3, Answer: true},
			{From: attache, To: vendor, Hue: picture.Token, Text: "one login", Beside: attache},
			{From: vendor, To: attache, Hue: picture.Token, Text: "token 8", Beside: attache, Answer: true},
			{From: attache, To: api, Hue: picture.Request, Text: "again, with token 8", Times: 3},
			{From: api, To: attache, Hue: picture.Request, Text: "good answers", Times: 3, Answer: true},
			{From: attache, To: app, Hue: picture.Request, Text: "good answers", Times: 3, Answer: true},
		},
	}
	rows, bottom := p.Sequence(s, y)
	const refused, login, token8, again = 2, 3, 4, 5
	p.Life(s, attache, picture.Token, rows[0]-14, rows[refused]-8)
	p.Life(s, attache, picture.Trouble, rows[refused]-8, rows[token8])
	p.Life(s, attache, picture.Token, rows[token8], bottom-4)
	p.Steps(s, rows)
	x := s.Column(attache) - 18
	p.Text(picture.Token.Words(), x, rows[1]+11, picture.End, "token 7 serves")
	p.Text(picture.Trouble.Words(), x, (rows[refused]+rows[login])/2, picture.End, "token 7 is out of service;")
	p.Text(picture.Trouble.Words(), x, (rows[refused]+rows[login])/2+18, picture.End, "requests wait")
	p.Text(picture.Token.Words(), x, rows[again]+6, picture.End, "token 8 serves")
	for i, row := range []int{refused, login, again} {
		p.Badge(picture.Own, picture.Width-picture.Edge-16, rows[row]+map[bool]float64{true: 7, false: 0}[s.Steps[row].Times > 1], string(rune('1'+i)))
	}
	keepPicture(t, "repair", p.SVG(bottom+picture.Edge))
}
