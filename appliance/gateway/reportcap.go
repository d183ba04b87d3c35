package gateway

import (
	"sync"
	"time"
)

// Reports on mail that was not passed on, an hour: a device gone wild, or one that forges a colleague's address, floods nobody.
const (
	reportsToSender    = 20
	reportsToOperators = 100
	maxReported        = 1000 // addresses remembered
)

// reportCap counts the reports of the last hour by address. It forgets with the process.
type reportCap struct {
	mu   sync.Mutex
	seen map[string][]time.Time
}

// allow tells whether one more may go to an address, and counts it.
func (c *reportCap) allow(address string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string][]time.Time{}
	}
	now := time.Now()
	for a, list := range c.seen { // there are few
		for len(list) > 0 && now.Sub(list[0]) >= time.Hour {
			list = list[1:]
		}
		if c.seen[a] = list; len(list) == 0 {
			delete(c.seen, a)
		}
	}
	list := c.seen[address]
	if len(list) >= most || list == nil && len(c.seen) >= maxReported {
		return false
	}
	c.seen[address] = append(list, now)
	return true
}
