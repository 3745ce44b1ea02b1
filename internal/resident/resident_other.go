//go:build !linux

package resident

// ForgetStart does nothing on this system.
func ForgetStart() {}
