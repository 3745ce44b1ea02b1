package cgroup

import (
	"testing"
	"testing/fstest"
)

const v1None = "9223372036854771712\n"

func TestMemoryLimit(t *testing.T) {
	tests := []struct {
		name, groups string
		files        map[string]string // below /sys/fs/cgroup
		want         int64             // 0: none
	}{
		{"version 2 in a container", "0::/\n", map[string]string{"memory.max": "536870912\n"}, 512 << 20},
		{"version 2 on a machine", "0::/user.slice/a.service\n", map[string]string{"user.slice/a.service/memory.max": "1000000\n"}, 1000000},
		{"the smallest is above", "0::/pod/app\n", map[string]string{"pod/app/memory.max": "2000\n", "pod/memory.max": "1000\n"}, 1000},
		{"the smallest is its own", "0::/pod/app\n", map[string]string{"pod/app/memory.max": "1000\n", "pod/memory.max": "2000\n"}, 1000},
		{"the smallest is at the root", "0::/pod/app\n", map[string]string{"pod/app/memory.max": "max\n", "memory.max": "3000\n"}, 3000},
		{"the path is the host's", "0::/docker/1234\n", map[string]string{"memory.max": "1000\n"}, 1000},
		{"the path leads out of the namespace", "0::/../other\n", map[string]string{"memory.max": "1000\n"}, 1000},
		{"a colon in the path", "0::/a:b\n", map[string]string{"a:b/memory.max": "1000\n"}, 1000},
		{"no limit", "0::/\n", map[string]string{"memory.max": "max\n"}, 0},
		{"no file", "0::/\n", nil, 0},
		{"no number", "0::/\n", map[string]string{"memory.max": "many\n"}, 0},
		{"zero", "0::/\n", map[string]string{"memory.max": "0\n"}, 0},
		{"version 1", "5:cpu,cpuacct:/a\n4:memory:/docker/1234\n0::/\n", map[string]string{"memory/docker/1234/memory.limit_in_bytes": "1000\n"}, 1000},
		{"version 1, among others", "4:hugetlb,memory:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "1000\n", "memory/memory.limit_in_bytes": v1None}, 1000},
		{"version 1, the path is the host's", "4:memory:/docker/1234\n", map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 1000},
		{"version 1 without a limit", "4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": v1None}, 0},
		{"another controller", "4:memory2:/\n", map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 0},
		{"both", "4:memory:/x\n0::/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "2000\n", "x/memory.max": "1000\n"}, 1000},
		{"nonsense", "nonsense\n\n0:\n", map[string]string{"memory.max": "1000\n"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(test.groups)}}
			for name, text := range test.files {
				root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, ok := MemoryLimit(root)
			if ok != (test.want != 0) || ok && got != test.want {
				t.Errorf("%d, %v, want %d", got, ok, test.want)
			}
			limit, ok := GoMemoryLimit(root, "")
			if ok != (test.want != 0) || limit != test.want/10*9 {
				t.Errorf("the Go runtime gets %d, %v", limit, ok)
			}
			if _, ok := GoMemoryLimit(root, "1GiB"); ok {
				t.Error("GOMEMLIMIT is overruled")
			}
		})
	}
	if _, ok := MemoryLimit(fstest.MapFS{}); ok {
		t.Error("there is a limit where there are no groups")
	}
}
