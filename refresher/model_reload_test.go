package refresher_test

import (
	"slices"
	"testing"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// replica is one engine of the model, with what it is configured with.
type replica struct {
	engine      *refresher.Engine
	definitions []refresher.Definition // all of them, as they are at first
	pools       map[string]*refresher.Pool
}

// reload puts these definitions into service. The token of users needs the
// access token.
func (r *replica) reload(t *testing.T, all []refresher.Definition) {
	t.Helper()
	c := r.engine.Change()
	r.pools = map[string]*refresher.Pool{}
	for _, d := range all {
		if d.Params != nil {
			d.Parents = []refresher.Parent{{Pool: r.pools["access"]}}
		}
		r.pools[d.Token] = rt.Define(t, c, d)
	}
	if err := c.Commit(); err != nil {
		t.Errorf("Commit: %v", err)
	}
}

// reload changes the configuration: names, when tokens are due, and whether
// there are some at all. What is gone is still held, as by a request.
func (m *model) reload(r *replica) {
	all := slices.Clone(r.definitions)
	for i := range all {
		all[i].Credential = []string{"cred", "cred", "renamed"}[m.rand.IntN(3)]
		all[i].Policy.At = []float64{0, 0, 0.5, 0.9}[m.rand.IntN(4)]
	}
	if m.rand.IntN(3) == 0 { // not the access token, which is first
		i := 1 + m.rand.IntN(len(all)-1)
		all = slices.Delete(all, i, i+1)
	}
	r.reload(m.t, all)
	m.find(r)
}

// find looks all instances up, as requests do after a reload. They are held, so
// they are the same as before.
func (m *model) find(r *replica) {
	for _, h := range m.held {
		p := r.pools[h.token]
		if h.replica != r || p == nil {
			continue
		}
		in, err := p.Instance(h.params)
		if err != nil {
			m.checkError(h, err)
			continue
		}
		if in != h.in {
			m.errorf("%s: another instance after a reload", h.name)
		}
		in.Release()
	}
}
