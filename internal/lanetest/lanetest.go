// Package lanetest chooses the lane that tests run in which do not say so
// themselves, so that the whole suite can be run once with each: the environment
// variable [Variable] holds its name. It is for tests alone; attache itself reads
// no such variable.
package lanetest

import (
	"fmt"
	"os"
	"strings"
)

// Variable names the environment variable. Without it, or where it is empty, tests
// run in the lane that attache has by default.
const Variable = "ATTACHE_TEST_LANE"

// Lane returns "express", "standard", or nothing if the default is to hold. It
// panics at any other name, for then the run would not be what it seems.
func Lane() string {
	name := os.Getenv(Variable)
	if name != "" && name != "express" && name != "standard" {
		panic(fmt.Sprintf("%s=%q: want express or standard", Variable, name))
	}
	return name
}

// Standard reports whether tests are to run in the standard lane.
func Standard() bool { return Lane() == "standard" }

// Configuration returns the text of a configuration file with the lane of this
// run, unless it names one itself. The line stands at the end, so that the others
// keep their numbers.
func Configuration(text string) string {
	lane := Lane()
	if lane == "" || strings.Contains("\n"+text, "\nlane:") {
		return text
	}
	return strings.TrimSuffix(text, "\n") + "\nlane: " + lane + "\n"
}
