//go:build !linux

package main

import "time"

// None of this is known here.

func cpuTime() time.Duration { return 0 }

func threadTime() time.Duration { return 0 }

type delays struct{}

func newDelays() delays { return delays{} }

func (delays) close() {}

func (delays) soFar() time.Duration { return 0 }
