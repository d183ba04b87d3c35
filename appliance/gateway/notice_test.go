package gateway

import (
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
)

func TestListed(t *testing.T) {
	for _, c := range []struct {
		pages []int
		want  string
	}{{nil, ""}, {[]int{3}, "3"}, {[]int{1, 2}, "1 and 2"}, {[]int{1, 2, 3}, "1 to 3"}, {[]int{1, 3, 4, 5, 6, 9}, "1, 3 to 6 and 9"}, {[]int{2, 3, 5}, "2, 3 and 5"}} {
		if got := listed(c.pages); got != c.want {
			t.Errorf("%v: %q, want %q", c.pages, got, c.want)
		}
	}
}

// TestNotice_NamesThePagesThatArrived: not only how many, when they are not the first ones.
func TestNotice_NamesThePagesThatArrived(t *testing.T) {
	for _, c := range []struct {
		n    queue.Notice
		want string
	}{
		{queue.Notice{State: queue.Failed, Pages: 5, Confirmed: 4, Arrived: []int{1, 2, 3, 5}, Calls: 3}, "Pages 1 to 3 and 5 of 5 arrived at the other side, the others did not."},
		{queue.Notice{State: queue.Failed, Pages: 3, Confirmed: 1, Arrived: []int{3}, Doubt: 2, Calls: 3}, "Page 3 of 3 arrived at the other side. Page 2 may have arrived as well."},
		{queue.Notice{State: queue.Failed, Pages: 5, Confirmed: 2, Calls: 3}, "Pages 1 to 2 of 5 arrived at the other side."},
		{queue.Notice{State: queue.Unknown, Pages: 3, Confirmed: 2, Arrived: []int{1, 3}, Doubt: 2}, "whether page 2 arrived"},
		{queue.Notice{State: queue.Unknown, Pages: 3, Confirmed: 2, Doubt: 3}, "whether the last page arrived"},
	} {
		if got := noticeLetter(c.n).Text(); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %s", c.n, got)
		}
	}
}
