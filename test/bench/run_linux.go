package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"attache/internal/machine"
)

// bench is a run.
type bench struct {
	opt                 *options
	loadCore, proxyCore int
	proxies             []proxy
	tools               map[string]string // paths by proxy
	upstream            *upstream
	folder              string // absolute
	ca                  string
	progress            *progress
}

// contender is a running proxy in one case.
type contender struct {
	proxy
	load    loadCase // what is asked of it
	site    site
	process *process
	result  *proxyResult
}

// measure runs everything that was asked for.
func (b *bench) measure(ctx context.Context) (*results, error) {
	res := &results{
		Format:   resultsFormat,
		Started:  time.Now().UTC().Truncate(time.Second),
		Settings: settings{Rounds: b.opt.Rounds, Seconds: b.opt.Seconds, Warm: b.opt.Warm},
		Machine:  machine.Describe(),
	}
	if err := b.prepare(res); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.folder)
	certificate, err := makeCertificate(b.ca)
	if err != nil {
		return nil, err
	}
	if b.upstream, err = startUpstream(certificate); err != nil {
		return nil, err
	}
	for _, c := range b.opt.Cases {
		var found caseResult
		if found, err = b.runCase(ctx, c); err != nil {
			break
		}
		res.Cases = append(res.Cases, found)
		b.progress.caseDone(found)
	}
	res.Took = time.Since(res.Started).Seconds()
	res.Machine.LoadAfter = machine.LoadAverage()
	return res, errors.Join(err, b.upstream.close())
}

// prepare finds the programs and makes the folder.
func (b *bench) prepare(res *results) error {
	b.tools = map[string]string{}
	all := proxies(b.opt.Attache, b.opt.Tools)
	for _, name := range b.opt.Proxies {
		for _, p := range all {
			if p.Name != name {
				continue
			}
			tool, err := p.find()
			if err != nil {
				return err
			}
			b.proxies, b.tools[name] = append(b.proxies, p), tool
			known := slices.ContainsFunc(b.proxies[:len(b.proxies)-1], func(other proxy) bool { return other.Tool == p.Tool })
			if v := p.version(tool); v != "" && !known {
				res.Versions = append(res.Versions, version{p.Title, v})
			}
		}
	}
	res.Versions = append(res.Versions, version{"Go", strings.TrimPrefix(runtime.Version(), "go")})
	if err := os.MkdirAll(b.opt.Dir, 0o755); err != nil {
		return err
	}
	dir, err := filepath.Abs(b.opt.Dir)
	if err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp(dir, "run-"); err != nil {
		return err
	}
	b.ca = filepath.Join(b.folder, "ca.pem")
	return nil
}

// runCase starts all proxies, gives each its turn in every round, and ends
// them. The error is one that ends the whole run; what is wrong with a proxy is
// in its result.
func (b *bench) runCase(ctx context.Context, c loadCase) (caseResult, error) {
	var ones []proxy
	for _, p := range b.proxies {
		if p.takesPart(c) {
			ones = append(ones, p)
		}
	}
	found := caseResult{Name: c.Name, Proxies: make([]proxyResult, len(ones))}
	all := make([]*contender, len(ones))
	defer func() {
		for _, p := range all {
			if p != nil && p.process != nil {
				p.process.stop()
			}
		}
	}()
	for i, p := range ones {
		found.Proxies[i].Name = p.Name
		all[i] = &contender{proxy: p, load: p.gets(c), result: &found.Proxies[i]}
		b.progress.show(c, p, "starts")
		if err := b.start(ctx, filepath.Join(b.folder, c.Name, p.Name), all[i]); err != nil {
			all[i].result.Failure = err.Error()
		}
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
	}
	for round := range b.opt.Rounds {
		for i := range all {
			// Each round begins with another proxy, so that none is always
			// behind the same one.
			p := all[(i+round)%len(all)]
			if p.result.Failure != "" {
				continue
			}
			b.progress.show(c, p.proxy, fmt.Sprintf("round %d of %d", round+1, b.opt.Rounds))
			s, err := b.sample(ctx, p)
			if ctx.Err() != nil {
				return found, ctx.Err()
			}
			if err != nil {
				p.result.Failure = fmt.Sprintf("round %d: %v", round+1, err)
				continue
			}
			p.result.Samples = append(p.result.Samples, s)
		}
		b.progress.roundDone(c, found, round)
	}
	return found, nil
}

// start starts a proxy, waits for its first answer and checks with it that the
// proxy does its work: the upstream must see its token, and only that.
func (b *bench) start(ctx context.Context, folder string, p *contender) error {
	c := p.load
	// nginx's worker is another user.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	p.site = site{Plain: b.upstream.Plain, TLS: b.upstream.TLS, Folder: folder, CA: b.ca, Token: sharedToken()}
	var err error
	if p.site.Listen, p.site.Admin, err = freePorts(); err != nil {
		return err
	}
	argv, env, err := p.Prepare(b.tools[p.Name], c, p.site)
	if err != nil {
		return err
	}
	check, want := c, sharedToken()
	check.Path, check.PostBytes = "/check", 0
	if c.PerUser && p.PerUser {
		want = tokenOf("user-0")
	}
	request := check.requests(fmt.Sprintf("127.0.0.1:%d", p.site.Listen))[0]
	begun := time.Now()
	if p.process, err = start(b.proxyCore, b.loadCore, folder, filepath.Join(folder, "output"), argv, env); err != nil {
		return err
	}
	seen, err := p.process.firstAnswer(ctx, p.site.Listen, request)
	if err != nil {
		return err
	}
	p.result.StartMS = float64(time.Since(begun).Microseconds()) / 1000
	if strings.TrimSpace(seen) != "Bearer "+want {
		return fmt.Errorf("the upstream saw the Authorization %q instead of the token", seen)
	}
	select {
	case <-ctx.Done():
	case <-time.After(300 * time.Millisecond): // what starts in the background
	}
	pids, err := processTree(p.process.cmd.Process.Pid)
	if err != nil {
		return err
	}
	p.result.IdleBytes, err = residentMemory(pids)
	return err
}

// sample is the turn of a proxy in a round.
func (b *bench) sample(ctx context.Context, p *contender) (sample, error) {
	c := p.load
	pids, err := processTree(p.process.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	l := load{
		Port: p.site.Listen, Requests: c.requests(fmt.Sprintf("127.0.0.1:%d", p.site.Listen)),
		AnswerBytes: c.AnswerBytes, Chunked: c.Chunked, Connections: c.Connections, Rate: c.Rate,
		Warm: seconds(b.opt.Warm), Measure: seconds(b.opt.Seconds),
	}
	if c.PerUser && len(p.result.Samples) == 0 {
		l.WarmCount = users + c.Connections // every user's token is there
	}
	var marks []reading
	var memory int64
	out, err := run(ctx, l, func() error {
		r, err := read(pids, b.loadCore, b.proxyCore)
		if len(marks) > 0 && err == nil {
			memory, err = residentMemory(pids)
		}
		marks = append(marks, r)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	return summarize(out, marks[0], marks[1], memory), nil
}

func summarize(out outcome, from, to reading, memory int64) sample {
	span := float64(to.at.Sub(from.at))
	share := func(d time.Duration) float64 { return float64(d) / span }
	total := to.total - from.total
	user, system := splitTime(total, to.user-from.user, to.system-from.system)
	core := to.proxyCore.minus(from.proxyCore)
	s := sample{
		Seconds: out.Elapsed.Seconds(), Answers: out.Answers, Errors: out.Errors,
		UserMicros: micros(user), SystemMicros: micros(system),
		P50: micros(out.Latency.quantile(0.50)), P99: micros(out.Latency.quantile(0.99)),
		LateP99: micros(out.Late.quantile(0.99)), ResidentBytes: memory,
		ProxyBusy: share(total), LoadBusy: share(to.self - from.self),
		Others: max(share(core.Busy-core.Steal-total), 0), Steal: share(core.Steal),
	}
	if out.FirstErr != nil {
		s.FirstError = out.FirstErr.Error()
	}
	return s
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// freePorts returns two ports that nobody uses now.
func freePorts() (first, second int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close() // so that the second is another
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// raiseFileLimit asks for as many descriptors as the system allows.
func raiseFileLimit() error {
	const needed = 4096
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur = limit.Max; limit.Max < needed {
		return fmt.Errorf("%d open files are allowed; at least %d are needed: raise `ulimit -n`", limit.Max, needed)
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
