package docs

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/picture"
	"attache/refresher"
	"attache/refresher/refreshertest"
)

// life is what happened to a token in the engine, which runs in virtual time. All
// times are minutes since the first login.
type life struct {
	tokens   []lived
	failures []float64 // when logins failed
	serves   []served
}

type lived struct{ issued, due, expires float64 }

// served is which token requests get, or 0 for none, until another line says
// otherwise.
type served struct {
	from       float64
	generation uint64
}

// What the picture shows: a token that lives an hour, nearly two hours of it, and
// an outage of the vendor's login.
const (
	lives, lifeShown        = 60, 110
	outageBegins, outageEnd = 45, 72
	dueFrom, dueTo          = 45, 48 // TestLifeIsGenerated holds them against the policy
)

// live runs the engine while the vendor's login is down from one minute to
// another.
func live(t *testing.T, down, up float64) life {
	var l life
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		minutes := func(at time.Time) float64 { return at.Sub(begin).Minutes() }
		var events refreshertest.Events
		source := refreshertest.Func(t, func(call int, _ refresher.Input) refreshertest.Answer {
			if now := minutes(time.Now()); now >= down && now < up {
				l.failures = append(l.failures, now)
				return refreshertest.Fail(refresher.Transient)
			}
			return refreshertest.OK(fmt.Sprint("token ", call), lives*time.Minute)
		})
		engine := refreshertest.Start(t, refresher.Config{Observe: events.Observe})
		in := refreshertest.Single(t, engine, refresher.Definition{Source: source, Policy: refresher.Policy{Jitter: 0.05}})
		for second := range lifeShown * 60 {
			// In the middle of a second, when nothing else happens.
			time.Sleep(time.Until(begin.Add(time.Duration(second)*time.Second + time.Second/2)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			token, err := in.Token(ctx)
			cancel()
			if err != nil {
				token.Generation = 0
			}
			if n := len(l.serves); n == 0 || l.serves[n-1].generation != token.Generation {
				l.serves = append(l.serves, served{minutes(time.Now()), token.Generation})
			}
		}
		for _, e := range events.Of(refresher.LoggedIn) {
			l.tokens = append(l.tokens, lived{minutes(e.ExpiresAt) - lives, minutes(e.DueAt), minutes(e.ExpiresAt)})
		}
	})
	return l
}

// The picture in recipes.md is drawn here, of what the engine does.
func TestLifeIsGenerated(t *testing.T) {
	good, bad := live(t, 0, 0), live(t, outageBegins, outageEnd)
	if len(good.tokens) != 3 || len(good.failures) != 0 || len(bad.tokens) < 2 || len(bad.serves) != 3 {
		t.Fatalf("the picture has no place for such lives:\n%+v\n%+v", good, bad)
	}
	first, policy := bad.tokens[0], refresher.Policy{}
	hour := refresher.Token{IssuedAt: time.Unix(0, 0), ExpiresAt: time.Unix(lives*60, 0)}
	if late, soon := policy.Due(hour, 0), policy.Due(hour, 1); late != dueTo*time.Minute || soon != dueFrom*time.Minute {
		t.Fatalf("a token is due after %v to %v", soon, late)
	}
	p := picture.New("The life of a token", fmt.Sprintf(
		"A token that lives %d minutes is due after %d to %d of them, by chance, and the next one takes over at once; the old one stays good at the vendor until it expires. "+
			"While the vendor's login fails, attache tries again after 1, 2, 4 seconds and so on, up to once a minute, and the token serves until it expires, at %.0f minutes; after that requests get 503, until a login succeeds.", lives, dueFrom, dueTo, first.expires))
	y := p.Head("The life of a token that lives an hour", "As the engine renews it unless the recipe says otherwise: after 80 % of the lifetime, less up to 5 % by chance.")
	y = drawGood(p, good, y)
	y = drawBad(p, bad, y)
	keepPicture(t, "life", p.SVG(y))
}

// Measures of the picture in its own units.
const (
	lifeHead = 66 // of a panel, down to its first row
	lifeRow  = 36
	lifeBar  = 18
	lifeFoot = 20 // for the minutes below the last row
)

// lifePanel is a panel with a row for each name.
type lifePanel struct {
	*picture.Picture
	plot picture.Plot
	end  float64 // where the next panel may begin
}

func newLifePanel(p *picture.Picture, y float64, heading, note string, names ...string) lifePanel {
	height := lifeHead + float64(len(names))*lifeRow + lifeFoot
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, height, heading, note)
	l := lifePanel{p, picture.Plot{Left: 142, Right: picture.Width - picture.Edge - 30, Top: y + lifeHead, Bottom: y + height - lifeFoot - 10, MaxX: lifeShown, MaxY: 1}, y + height + picture.Edge}
	for i, name := range names {
		p.Text(picture.Text, picture.Edge+16, l.row(i)+14, picture.Start, name)
	}
	p.Ticks(l.plot, func(v float64) string { return fmt.Sprintf("%.0f min", v) }, 0, 15, 30, 45, 60, 75, 90, 105)
	return l
}

func (l lifePanel) row(i int) float64 { return l.plot.Top + float64(i)*lifeRow }

// span draws a box from one minute to another, with words in it.
func (l lifePanel) span(h picture.Hue, row int, from, to float64, words string) {
	x, right := l.plot.X(from), l.plot.X(min(to, lifeShown))
	l.Box(h, x, l.row(row), right-x, lifeBar, "")
	l.Text(picture.Note, (x+right)/2, l.row(row)+13, picture.Middle, words)
}

// above writes words above a minute of the first row.
func (l lifePanel) above(ink picture.Ink, minute float64, anchor picture.Anchor, words string) {
	l.Text(ink, l.plot.X(minute), l.row(0)-12, anchor, words)
}

// dueSpan marks the minutes in which a token may become due.
func (l lifePanel) dueSpan(issued float64) {
	from := l.plot.X(issued + dueFrom)
	l.Bar(picture.Due, from, l.row(0)-6, l.plot.X(issued+dueTo)-from, 4)
}

// drawGood draws tokens that are renewed in time.
func drawGood(p *picture.Picture, all life, y float64) float64 {
	l := newLifePanel(p, y, "Renewed in time", "the vendor leaves the old token good for a while", "token 1", "token 2", "requests get")
	first, second, third := all.tokens[0], all.tokens[1], all.tokens[2]
	l.above(picture.Text, first.issued, picture.Start, "issued")
	l.above(picture.Due.Words(), first.due, picture.Middle, fmt.Sprintf("due: %d to %d min", dueFrom, dueTo))
	l.above(picture.Text, first.expires, picture.Start, "expires")
	l.dueSpan(first.issued)
	l.span(picture.Token, 0, first.issued, second.issued, "fresh")
	l.span(picture.Plain, 0, second.issued, first.expires, "overlap")
	l.span(picture.Token, 1, second.issued, third.issued, "fresh")
	l.span(picture.Plain, 1, third.issued, second.expires, "overlap")
	x := l.plot.X(second.issued)
	l.Arrow(picture.Token, at(x, l.row(0)+lifeBar+1), at(x, l.row(1)-1))
	l.Text(picture.Token.Words(), x-8, l.row(1)-4, picture.End, "refresh")
	l.drawServed(all, 2)
	return l.end
}

// drawBad draws a token while the vendor's login is down.
func drawBad(p *picture.Picture, all life, y float64) float64 {
	l := newLifePanel(p, y, fmt.Sprintf("The vendor’s login is down from minute %d to %d", outageBegins, outageEnd),
		fmt.Sprintf("%d logins fail: tried again after 1 s, 2 s, 4 s … then each minute", len(all.failures)), "token 1", "logins", "token 2", "requests get")
	first, second := all.tokens[0], all.tokens[1]
	l.above(picture.Text, first.issued, picture.Start, "issued")
	l.above(picture.Due.Words(), first.due, picture.Middle, fmt.Sprintf("due: %d to %d min", dueFrom, dueTo))
	l.above(picture.Text, first.expires, picture.Start, "expires")
	l.dueSpan(first.issued)
	l.span(picture.Token, 0, first.issued, all.failures[0], "fresh")
	l.span(picture.Due, 0, all.failures[0], first.expires, "serves on")
	l.marks(picture.Trouble, 1, all.failures)
	x := l.plot.X(second.issued)
	l.Text(picture.Trouble.Words(), l.plot.X(all.failures[0])-8, l.row(1)+14, picture.End, "fail")
	l.Text(picture.Token.Words(), x+10, l.row(1)+14, picture.Start, "succeeds")
	l.Arrow(picture.Token, at(x, l.row(1)), at(x, l.row(2)-1))
	l.span(picture.Token, 2, second.issued, second.expires, "fresh")
	l.drawServed(all, 3)
	return l.end
}

// marks draws a mark at each of the minutes. Those that would touch are one.
func (l lifePanel) marks(h picture.Hue, row int, minutes []float64) {
	for len(minutes) > 0 {
		n, from := 1, l.plot.X(minutes[0])
		for n < len(minutes) && l.plot.X(minutes[n])-l.plot.X(minutes[n-1]) < 3 {
			n++
		}
		l.Bar(h, from-1, l.row(row), l.plot.X(minutes[n-1])-from+2, lifeBar)
		minutes = minutes[n:]
	}
}

// drawServed draws what requests get.
func (l lifePanel) drawServed(all life, row int) {
	for i, s := range all.serves {
		to := float64(lifeShown)
		if i+1 < len(all.serves) {
			to = all.serves[i+1].from
		}
		if s.generation == 0 {
			l.span(picture.Trouble, row, s.from, to, "503")
			continue
		}
		l.span(picture.Token, row, s.from, to, fmt.Sprint("token ", s.generation))
	}
}
