package exchange

import (
	"strings"
	"time"
)

// counts is what the service remembers of the traffic.
type counts struct {
	anonymous   map[string][]time.Time // by client address
	submitted   map[string][]time.Time // by mailbox
	recipients  map[string][]time.Time // by mailbox: recipients submitted to
	received    map[string][]time.Time // by recipient
	fromSender  map[string][]time.Time // by recipient and sender
	stored      map[string]int64       // octets by recipient
	connections map[string]int         // signed-in connections by mailbox
	delivering  map[string]int         // transactions under way by recipient
}

func newCounts() *counts {
	return &counts{map[string][]time.Time{}, map[string][]time.Time{}, map[string][]time.Time{}, map[string][]time.Time{},
		map[string][]time.Time{}, map[string]int64{}, map[string]int{}, map[string]int{}}
}

// since drops what is older than d and says how much is left.
func since(m map[string][]time.Time, key string, d time.Duration) int {
	key = strings.ToLower(key)
	list := m[key]
	limit := time.Now().Add(-d)
	for len(list) > 0 && !list[0].After(limit) {
		list = list[1:]
	}
	m[key] = list
	return len(list)
}

func count(m map[string][]time.Time, key string, n int) {
	key = strings.ToLower(key)
	for range n {
		m[key] = append(m[key], time.Now())
	}
}
