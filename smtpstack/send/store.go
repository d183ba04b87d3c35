package send

import (
	"container/list"
	"sync"
	"time"
)

// Store keeps small records over restarts: counts of the day, which hosts had TLS, MTA-STS policies, callout results. It
// must be safe for concurrent use. The buckets are named by the Bucket constants; keys and values are at most 64 kB.
type Store interface {
	// Get returns a value that has not expired; nil when there is none.
	Get(bucket, key string) ([]byte, error)
	// Put keeps a value until expires, when it may be purged. It is called at most a few times for one delivery.
	Put(bucket, key string, value []byte, expires time.Time) error
}

// The buckets of a Store.
const (
	BucketCounts  = "send-counts"  // recipients by connector and hour, times of the last minute's messages by connector
	BucketTLS     = "send-tls"     // hosts that had TLS
	BucketSTS     = "send-sts"     // MTA-STS policies by domain
	BucketCallout = "send-callout" // verified recipients

	BucketFallback = "send-fallback" // how a fallback connector did last, by connector
)

// MemoryStore is a Store that forgets with the process. The oldest entries give way when it is full.
type MemoryStore struct {
	mu      sync.Mutex
	entries map[[2]string]*list.Element
	order   *list.List // oldest first
}

const maxMemory = 10000 // entries of a MemoryStore

type memoryEntry struct {
	key     [2]string
	value   []byte
	expires time.Time
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{entries: make(map[[2]string]*list.Element), order: list.New()}
}

// Get implements Store.
func (m *MemoryStore) Get(bucket, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[[2]string{bucket, key}]
	if e == nil || !time.Now().Before(e.Value.(*memoryEntry).expires) {
		return nil, nil
	}
	return e.Value.(*memoryEntry).value, nil
}

// Put implements Store.
func (m *MemoryStore) Put(bucket, key string, value []byte, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := [2]string{bucket, key}
	if e := m.entries[k]; e != nil {
		m.order.Remove(e)
	}
	m.entries[k] = m.order.PushBack(&memoryEntry{k, append([]byte(nil), value...), expires})
	if m.order.Len() > maxMemory {
		old := m.order.Front()
		m.order.Remove(old)
		delete(m.entries, old.Value.(*memoryEntry).key)
	}
	return nil
}
