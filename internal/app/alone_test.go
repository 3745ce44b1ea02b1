package app

import (
	"testing"

	"attache/internal/config"
)

// What others may have is not this process's to end.
func TestTokensOfOthersAreNotRevoked(t *testing.T) {
	tests := []struct {
		name  string
		cfg   config.Config
		alone bool
	}{
		{"in memory", config.Config{Store: config.Store{Kind: config.StoreMemory}}, true},
		{"in a file", config.Config{Store: config.Store{Kind: config.StoreFile}}, false},
		{"in Redis", config.Config{Store: config.Store{Kind: config.StoreRedis}}, false},
		{"handed out", config.Config{Store: config.Store{Kind: config.StoreMemory}, Handout: &config.Handout{Credentials: []string{"other", "c"}}}, false},
		{"others are handed out", config.Config{Store: config.Store{Kind: config.StoreMemory}, Handout: &config.Handout{Credentials: []string{"other"}}}, true},
	}
	for _, tt := range tests {
		if got := isAlone(&tt.cfg, "c"); got != tt.alone {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
