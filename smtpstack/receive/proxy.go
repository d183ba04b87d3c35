package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// proxyTimeout is how long a proxy may take for its header, which it sends at once.
const proxyTimeout = 10 * time.Second

// errNoClient is returned when a proxy does not say for which TCP client it speaks.
var errNoClient = errors.New("the PROXY header names no TCP client")

// readProxyHeader takes the client's address from the PROXY protocol header, version 1 or 2, before anything is said.
// The proxy's own connections (LOCAL: is the server alive?) keep its address.
func (w *wire) readProxyHeader() (netip.Addr, error) {
	w.conn.beginData(proxyTimeout, proxyTimeout)
	h, err := proxyproto.Read(w.r)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("receive: PROXY protocol: %w", err)
	}
	if h.Command.IsLocal() && h.Version == 2 { // version 1's UNKNOWN is somebody, but who?
		return w.session.peer, nil
	}
	src, _, ok := h.TCPAddrs()
	if !ok {
		return netip.Addr{}, errNoClient
	}
	ip := src.AddrPort().Addr().Unmap().WithZone("")
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
		return netip.Addr{}, errNoClient
	}
	return ip, nil
}
