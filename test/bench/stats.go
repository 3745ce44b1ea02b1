package main

import (
	"math"
	"slices"
)

// wantedLevel is the least confidence that an interval of a median is to have.
const wantedLevel = 0.95

// interval is a median and the range in which the true median lies with a
// probability of Level, whatever the distribution. Level is 0 where there is
// only one value, which says nothing about others.
type interval struct{ Median, Low, High, Level float64 }

// confidence says which of n sorted values bound the median's interval: the
// rank-th from below and the rank-th from above. It is the greatest rank whose
// level reaches wantedLevel, so that single wild values are left out as soon as
// there are enough others; with too few values it is the first, and the level
// is what they allow.
//
// The true median lies below the rank-th value only if fewer than rank values
// are less than it. Each value is with a chance of one half, independently of
// the others; so the chance of that is a sum of the binomial distribution, and
// the same at the upper end.
func confidence(n int) (rank int, level float64) {
	if n < 1 {
		return 0, 0
	}
	chance := math.Pow(0.5, float64(n)) // that exactly 0 values are less
	tail := chance                      // that fewer than rank are
	rank = 1
	for {
		chance *= float64(n-rank+1) / float64(rank)
		if 1-2*(tail+chance) < wantedLevel {
			return rank, 1 - 2*tail
		}
		tail += chance
		rank++
	}
}

// estimate returns the median of values with its interval.
func estimate(values []float64) interval {
	rank, level := confidence(len(values))
	if rank == 0 {
		return interval{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return interval{median(sorted), sorted[rank-1], sorted[len(sorted)-rank], level}
}

// includes reports whether a value lies in the interval.
func (i interval) includes(value float64) bool { return i.Low <= value && value <= i.High }

// median returns the middle value, of an even number the mean of the two in
// the middle, and of none 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread returns how far values are apart: (greatest − least) / median.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (slices.Max(values) - slices.Min(values)) / m
}
