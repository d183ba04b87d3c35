package smtptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Ports that are handed out lie below those that the kernel gives to connections (ip_local_port_range) and to listeners on
// port 0: between the choice and its use nobody else comes by one. Those of other test processes are avoided by chance.
const firstPort, lastPort = 10000, 32000

var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreeAddr returns a loopback address with a port that nobody listens on, by TCP or UDP, each only once.
func FreeAddr(t testing.TB) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if !given.ports[port] && isFree(addr) {
			given.ports[port] = true
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	pc.Close()
	return true
}

// FreePort is the port of a FreeAddr.
func FreePort(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(Port(FreeAddr(t)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Port is the port of an address.
func Port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
