package receive

import (
	"cmp"
	"container/list"
	"math"
	"net/netip"
	"sync"
	"time"
)

// Limits say how much one client may do in a time. A client is an IPv4 address or an IPv6 /64; a network, an IPv4 /24 or
// IPv6 /48, may do four times as much. Each is a full bucket that fills up evenly, so a burst may have it all at once.
// Zero is the default, negative is no limit.
//
// For hosts of a NetworkSet, which send for all of a provider's customers, errors count for their connection only.
type Limits struct {
	ConnsPerMinute       int // new connections, default 600; more hear 421 4.7.0
	MessagesPerMinute    int // default 600; more hear 450 4.7.1 at MAIL
	RecipientsPerHour    int // taken ones, default 10,000; more hear 450 4.7.1 at RCPT
	ErrorsPerHour        int // replies 5xx, default 600; then the connection and new ones end with 421 4.7.0
	FailedSignInsPerHour int // default 20; more hear 454 4.7.0. The network's limit does not count here
}

const networkFactor = 4

func (l *Limits) setDefaults() {
	l.ConnsPerMinute = cmp.Or(l.ConnsPerMinute, 600)
	l.MessagesPerMinute = cmp.Or(l.MessagesPerMinute, 600)
	l.RecipientsPerHour = cmp.Or(l.RecipientsPerHour, 10_000)
	l.ErrorsPerHour = cmp.Or(l.ErrorsPerHour, 600)
	l.FailedSignInsPerHour = cmp.Or(l.FailedSignInsPerHour, 20)
}

// counted is what a bucket counts.
type counted int

const (
	newConn counted = iota
	newMessage
	newRecipient
	badReply
	badSignIn
)

type meterKey struct {
	what counted
	who  netip.Prefix
}

// maxBuckets bounds the memory for clients seen: some 2 MB. The longest untouched is forgotten first.
const maxBuckets = 16384

// meter counts what clients do, in leaky buckets.
type meter struct {
	mu      sync.Mutex
	most    int
	buckets map[meterKey]*list.Element
	order   *list.List // of *bucket, the last touched in front
}

type bucket struct {
	key  meterKey
	used float64 // 0 is all may be had
	at   time.Time
}

func newMeter(most int) *meter {
	return &meter{most: most, buckets: make(map[meterKey]*list.Element), order: list.New()}
}

// get gives the bucket as of now, or nil when there is none and none is to be made.
func (m *meter) get(key meterKey, limit int, per time.Duration, create bool) *bucket {
	now := time.Now()
	el := m.buckets[key]
	if el == nil {
		if !create {
			return nil
		}
		if len(m.buckets) >= m.most {
			oldest := m.order.Back()
			m.order.Remove(oldest)
			delete(m.buckets, oldest.Value.(*bucket).key)
		}
		el = m.order.PushFront(&bucket{key: key, at: now})
		m.buckets[key] = el
	}
	m.order.MoveToFront(el)
	b := el.Value.(*bucket)
	if passed := now.Sub(b.at); passed > 0 {
		b.used = math.Max(0, b.used-float64(limit)*float64(passed)/float64(per))
	}
	b.at = now
	return b
}

// take uses one up and tells whether there was one.
func (m *meter) take(key meterKey, limit int, per time.Duration) bool {
	if limit < 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.get(key, limit, per, true)
	if b.used+1 > float64(limit) {
		return false
	}
	b.used++
	return true
}

// has tells whether there is one to take.
func (m *meter) has(key meterKey, limit int, per time.Duration) bool {
	return limit < 0 || m.used(key, limit, per) < limit
}

// used is how many are used up, those half given back too.
func (m *meter) used(key meterKey, limit int, per time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.get(key, limit, per, false); b != nil {
		return int(math.Ceil(b.used))
	}
	return 0
}

// meterKey is the client's bucket.
func (s *session) meterKey(what counted) meterKey { return meterKey{what, limitKey(s.ip)} }

func (s *session) networkKey(what counted) meterKey { return meterKey{what, networkOf(s.ip)} }

// forgives tells what is not held against a host that sends for many: else one of a provider's customers, by provoking
// errors, could keep the mail of all others out.
func (s *session) forgives(what counted) bool { return s.shared && what == badReply }

// spend uses one up for the client and for its network, and tells whether both had one.
func (s *session) spend(what counted, limit int, per time.Duration) bool {
	if s.forgives(what) {
		return true
	}
	m := s.srv.meter
	return m.take(s.meterKey(what), limit, per) && m.take(s.networkKey(what), networkFactor*limit, per)
}

// spent tells whether nothing is left for the client or its network.
func (s *session) spent(what counted, limit int, per time.Duration) bool {
	if s.forgives(what) {
		return false
	}
	m := s.srv.meter
	return !m.has(s.meterKey(what), limit, per) || !m.has(s.networkKey(what), networkFactor*limit, per)
}

// limitKey is what one party holds: an IPv4 address, an IPv6 /64.
func limitKey(ip netip.Addr) netip.Prefix { return prefixOf(ip, 32, 64) }

// networkOf is what one provider's customer may hold: an IPv4 /24, an IPv6 /48.
func networkOf(ip netip.Addr) netip.Prefix { return prefixOf(ip, 24, 48) }

func prefixOf(ip netip.Addr, four, six int) netip.Prefix {
	bits := four
	if ip.Is6() {
		bits = six
	}
	p, _ := ip.Prefix(bits)
	return p
}
