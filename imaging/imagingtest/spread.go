package imagingtest

import (
	"fmt"
	"slices"
	"time"
)

// Spread is the median of some times, and the least and the most.
type Spread struct{ Mid, Low, High time.Duration }

// SpreadOf sorts the list.
func SpreadOf(list []time.Duration) Spread {
	slices.Sort(list)
	return Spread{list[len(list)/2], list[0], list[len(list)-1]}
}

func (s Spread) String() string {
	return fmt.Sprintf("%5d us (%d-%d)", s.Mid.Microseconds(), s.Low.Microseconds(), s.High.Microseconds())
}
