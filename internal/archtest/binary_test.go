package archtest

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The binary of the image: built by the Dockerfile's own command it is static,
// small, names its version, and links no template engine.
func TestBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "attache")
	build := exec.CommandContext(t.Context(), "sh", "-c", dockerBuild(t, binary))
	build.Dir = root
	// A value of GOFLAGS must not decide what is tested here.
	build.Env = append(os.Environ(), "GOFLAGS=", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=9.8.7-test", "REVISION=c0ffee")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}

	const most = 16 << 20
	t.Logf("%.1f MiB", float64(len(image))/(1<<20))
	if len(image) >= most {
		t.Errorf("the binary has %d bytes, %d or more are too many", len(image), most)
	}
	checkStatic(t, image)
	// Names of linked functions survive stripping.
	for _, name := range []string{"text/template.(*Template).Execute", "html/template."} {
		if bytes.Contains(image, []byte(name)) {
			t.Errorf("%s is linked: it keeps the linker from dropping unused methods", name)
		}
	}
	if dir, err := filepath.Abs(root); err != nil || bytes.Contains(image, []byte(dir+"/internal")) {
		t.Errorf("the binary names the directory it was built in (%v)", err)
	}
	if runtime.GOOS != "linux" {
		return // it does not run here
	}
	checkStartsLean(t, binary)
	// An empty environment is what it has in the image.
	run := exec.CommandContext(t.Context(), binary, "version")
	run.Env = []string{}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("attache version: %v\n%s", err, out)
	}
	for _, want := range []string{"9.8.7-test", "c0ffee"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("attache version does not show %s:\n%s", want, out)
		}
	}
}

// checkStartsLean checks that no package of this module makes anything worth
// mentioning before main begins: every start pays for it, whatever is run, and a
// process that serves keeps it. An expression that is compiled in a variable of a
// package takes 5 to 30 KB.
func checkStartsLean(t *testing.T, binary string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), binary, "version")
	run.Env = []string{"GODEBUG=inittrace=1"}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("attache version: %v\n%s", err, out)
	}
	// init attache/recipe @9.9 ms, 0.004 ms clock, 360 bytes, 12 allocs
	lines := regexp.MustCompile(`(?m)^init (\S+) @.*, (\d+) bytes, \d+ allocs$`).FindAllSubmatch(out, -1)
	if len(lines) == 0 {
		t.Fatalf("no package is traced:\n%s", out)
	}
	for _, line := range lines {
		const most = 2048
		n, err := strconv.Atoi(string(line[2]))
		if own := strings.HasPrefix(string(line[1]), ours) || string(line[1]) == "main"; own && (err != nil || n > most) {
			t.Errorf("%s allocates %s bytes before main begins, more than %d: make it where it is needed", line[1], line[2], most)
		}
	}
}

// checkStatic checks that the binary runs where there is nothing else: it asks
// for neither a dynamic linker nor a library.
func checkStatic(t *testing.T, image []byte) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is linked dynamically (%s)", p.Type)
		}
	}
	if libraries, err := file.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %v", libraries)
	}
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Error("the binary is not stripped")
	}
}

// dockerBuild returns the Dockerfile's command with another place to write to.
func dockerBuild(t *testing.T, output string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^RUN ((?:.*\\\n)*.*go build (?:.*\\\n)*.*) -o /attache \./cmd/attache$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the Dockerfile has no line RUN … go build … -o /attache ./cmd/attache")
	}
	return string(found[1]) + ` -o "` + output + `" ./cmd/attache`
}

// make build and the image are the same program.
func TestMakefileBuildsWhatTheImageHas(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	flags := func(s string) string {
		// Variables are written differently in the two files.
		s = strings.NewReplacer("\\\n", " ", "$(VERSION)", "$VERSION", "$(REVISION)", "$REVISION").Replace(s)
		found := regexp.MustCompile(`go build (.*?-ldflags +"[^"]*")`).FindStringSubmatch(s)
		if found == nil {
			t.Fatalf("no go build in %s", s)
		}
		return strings.Join(strings.Fields(found[1]), " ")
	}
	if image, local := flags(dockerBuild(t, "x")), flags(string(makefile)); image != local {
		t.Errorf("flags differ:\nDockerfile: %s\nMakefile:   %s", image, local)
	}
}

// What .dockerignore lets through is all that the binary is made of, and is
// enough.
func TestImageContextHasTheSources(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			listed[name] = true
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		`{{if not .Standard}}{{$p := .ImportPath}}{{range .GoFiles}}{{$p}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$p}}/{{.}}{{"\n"}}{{end}}{{end}}`, "./cmd/attache")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		file, isOurs := strings.CutPrefix(strings.TrimSpace(line), ours)
		if !isOurs {
			continue
		}
		found++
		top, _, _ := strings.Cut(file, "/")
		if !listed[top] || strings.Contains(file, "/testdata/") || strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s is part of the binary, and .dockerignore keeps it from the build", file)
		}
	}
	if found == 0 {
		t.Error("go list named no file of this module")
	}
}
