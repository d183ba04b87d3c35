package resolve

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

type cacheKey struct {
	name  string // lower case, with the final dot
	qtype uint16
}

// answer is what a server said: records, or that there are none. Failures are never cached.
type answer struct {
	records []dns.RR
	owner   string // where the records stand, after CNAMEs
	secure  bool   // authenticated by a resolver whose word counts
	err     error
	ttl     time.Duration
	expires time.Time
}

type cache struct {
	mu   sync.Mutex
	most int
	m    map[cacheKey]answer
}

func newCache(most int) *cache { return &cache{most: most, m: make(map[cacheKey]answer)} }

func (c *cache) get(k cacheKey, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.m[k]
	if ok && !now.Before(a.expires) {
		delete(c.m, k)
		ok = false
	}
	return a, ok
}

func (c *cache) put(k cacheKey, a answer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.m[k]; !there && len(c.m) >= c.most {
		c.makeRoom(now)
	}
	a.expires = now.Add(a.ttl)
	c.m[k] = a
}

// makeRoom drops what has expired among a few entries, or one at random: a map walk starts anywhere.
func (c *cache) makeRoom(now time.Time) {
	looked := 0
	for k, a := range c.m {
		if looked == 0 || !now.Before(a.expires) {
			delete(c.m, k)
		}
		if looked++; looked == 16 {
			return
		}
	}
}
