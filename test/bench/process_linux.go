package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// setAffinity pins the calling thread, and what it starts, to a core.
func setAffinity(core int) error {
	var mask [1024 / bits.UintSize]uint
	mask[core/bits.UintSize] = 1 << (core % bits.UintSize)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return fmt.Errorf("pin to core %d: %w", core, errno)
	}
	return nil
}

// processTime returns the CPU time of all threads of a process, also of those
// that ended, in nanoseconds' resolution.
func processTime(pid int) (time.Duration, error) {
	// The clock of another process; see clock_getcpuclockid(3).
	const cpuclockSched = 2
	clock := ^pid<<3 | cpuclockSched
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(uint32(clock)), uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("read the clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// reading is what a process tree used up to a moment.
type reading struct {
	at           time.Time
	total        time.Duration
	user, system uint64        // ticks, to divide total
	self         time.Duration // this process: load and upstream
	proxyCore    coreTimes
	loadCore     coreTimes
}

// read takes a reading of the processes. It is short, because it runs between
// two requests.
func read(pids []int, loadCore, proxyCore int) (reading, error) {
	r := reading{at: time.Now()}
	for _, pid := range pids {
		t, err := processTime(pid)
		if err != nil {
			return reading{}, err
		}
		text, err := os.ReadFile(procPath(pid) + "/stat")
		if err != nil {
			return reading{}, err
		}
		stat, err := parseProcStat(string(text))
		if err != nil {
			return reading{}, err
		}
		r.total += t
		r.user += stat.User
		r.system += stat.System
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return reading{}, err
	}
	var err1, err2, err3 error
	r.proxyCore, err1 = parseCoreTimes(string(text), proxyCore)
	r.loadCore, err2 = parseCoreTimes(string(text), loadCore)
	r.self, err3 = processTime(os.Getpid())
	return r, errors.Join(err1, err2, err3)
}

// process is a running proxy.
type process struct {
	cmd    *exec.Cmd
	output string        // path of what it writes
	ended  chan struct{} // closed when it ended
}

// start runs a program on a core. The calling goroutine must be locked to the
// main thread: when the thread that started it ends, the program is told to end
// too, so that nothing outlives a bench that was killed.
func start(core, back int, folder, output string, argv, env []string) (*process, error) {
	file, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the program has its own
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, file, file
	cmd.Env = append(os.Environ(), env...)
	// A group of its own: ^C reaches this process, which ends the proxies.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := setAffinity(core); err != nil {
		return nil, err
	}
	err = cmd.Start()
	if err := errors.Join(err, setAffinity(back)); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	p := &process{cmd: cmd, output: output, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its output
		close(p.ended)
	}()
	return p, nil
}

// stop ends a process and what it started.
func (p *process) stop() {
	pids, err := processTree(p.cmd.Process.Pid)
	if err != nil {
		pids = []int{p.cmd.Process.Pid}
	}
	select {
	case <-p.ended:
		return // its children, if any, ended with it or get their own signal
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	for _, pid := range pids[1:] {
		endChild(pid, pids[0])
	}
}

// endChild ends what a process of that group left behind, and waits until it
// is gone. The group tells it from another that got its number meanwhile.
func endChild(pid, group int) {
	for range 1000 {
		text, err := os.ReadFile(procPath(pid) + "/stat")
		if err != nil {
			return
		}
		stat, err := parseProcStat(string(text))
		if err != nil || stat.Group != group || stat.State == "Z" {
			return
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		time.Sleep(time.Millisecond)
	}
}

// lastWords returns the end of what a process wrote.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(len(text)-1000, 0):]))
}

// firstAnswer asks until the proxy answers 200, and returns that answer's body.
func (p *process) firstAnswer(ctx context.Context, port int, request []byte) (string, error) {
	const within = 15 * time.Second
	var last error
	for begun := time.Now(); time.Since(begun) < within; {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-p.ended:
			return "", fmt.Errorf("it ended: %s", p.lastWords())
		case <-time.After(time.Millisecond):
		}
		var body string
		if body, last = ask(port, request); last == nil {
			return body, nil
		}
	}
	return "", fmt.Errorf("it does not answer (%w): %s", last, p.lastWords())
}

// ask sends one request on a connection of its own.
func ask(port int, request []byte) (string, error) {
	fd, err := dial(port)
	if err != nil {
		return "", err
	}
	defer syscall.Close(fd)
	if err := writeAll(fd, request); err != nil {
		return "", err
	}
	conn := &rawConn{fd: fd, blocks: true}
	buf := make([]byte, 16<<10)
	for have := 0; have < len(buf); {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return "", err
		}
		have += n
		end, length, err := message(buf[:have])
		if err != nil {
			return "", err
		}
		if end > 0 {
			return string(buf[end-length : end]), checkAnswer(buf, length, length)
		}
	}
	return "", errors.New("an answer is too long")
}

// coresVariable hands the choice of cores to the restarted program, which no
// longer sees the proxies' core among its own.
const coresVariable = "ATTACHE_BENCH_CORES"

// chooseCores returns the core for load and upstream, and that for the proxies.
// An empty wish means the first two.
func chooseCores(wish string) (load, proxy int, err error) {
	cores, err := allowedCores()
	if err != nil {
		return 0, 0, err
	}
	if wish == "" {
		wish = os.Getenv(coresVariable)
	}
	if wish != "" {
		if cores, err = parseCores(wish); err != nil {
			return 0, 0, err
		}
	}
	if len(cores) < 2 || cores[0] == cores[1] {
		return 0, 0, errors.New("two cores are needed: one for the proxy, one for the load and the upstream")
	}
	return cores[0], cores[1], nil
}

// pinSelf restarts this program on one core, so that every thread of it is
// there. It returns when that is so.
func pinSelf(core, proxyCore int) error {
	runtime.LockOSThread()
	allowed, err := allowedCores()
	if err != nil {
		return err
	}
	if len(allowed) == 1 && allowed[0] == core {
		// More than the one that the core would give: each of the two loops
		// sits in a system call most of the time and keeps its processor.
		runtime.GOMAXPROCS(4)
		return exactTimers()
	}
	if err := setAffinity(core); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env := append(os.Environ(), fmt.Sprintf("%s=%d,%d", coresVariable, core, proxyCore))
	return fmt.Errorf("restart on core %d: %w", core, syscall.Exec(self, os.Args, env))
}
