package main

import (
	"math/bits"
	"time"
)

// A bucket of a histogram is at most 1/64 of its value wide, so a quantile is
// right to 1.6 %.
const (
	subBits    = 6
	subBuckets = 1 << subBits
	// 2^40 ns are 18 minutes, longer than any run.
	maxExponent = 40
)

// histogram counts durations without allocating. The zero value is empty. It is
// not for concurrent use.
type histogram struct {
	counts [(maxExponent - subBits + 1) * subBuckets]uint64
	total  uint64
}

// bucketOf returns the bucket of a value in nanoseconds: exact below 64, above
// that 64 buckets to each doubling.
func bucketOf(ns uint64) int {
	if ns < subBuckets {
		return int(ns)
	}
	exponent := bits.Len64(ns) - 1
	if exponent >= maxExponent {
		exponent, ns = maxExponent-1, 1<<maxExponent-1
	}
	shift := exponent - subBits
	return (shift+1)*subBuckets + int(ns>>shift) - subBuckets
}

// middleOf returns the value in the middle of a bucket, in nanoseconds.
func middleOf(bucket int) uint64 {
	if bucket < subBuckets {
		return uint64(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket%subBuckets+subBuckets) << shift
	return low + (1<<shift)/2
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(uint64(max(d, 0)))]++
	h.total++
}

// quantile returns the smallest recorded duration that at least the share q
// of all does not exceed, and 0 if there is none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q*float64(h.total) + 0.999999)
	rank = min(max(rank, 1), h.total)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(middleOf(i))
		}
	}
	return 0
}
