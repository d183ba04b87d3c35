//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"github.com/tipring/tipring/smtpstack/smtptest"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoad_SlowPeers: fifty connections that say an octet every ten seconds keep nobody else out.
func TestLoad_SlowPeers(t *testing.T) {
	t.Parallel()
	b := newBox(t, exchange(t, "20")[0], newSink(t).addr, "")
	b.start()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range 50 {
		from := fmt.Sprintf("127.0.%d.2", 2+i/10) // ten each of five hosts
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", b.smtp)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			for _, octet := range "EHLO slow.example.org\r\n" {
				if _, err := conn.Write([]byte(string(octet))); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(10 * time.Second):
				}
			}
		}()
	}
	for n := range 3 {
		if err := handIn(b.smtp, "anna@example.org", "5550101@fax.example.org", paddedMail(t, n, 0)); err != nil {
			t.Errorf("mail %d beside the slow ones: %v", n+1, err)
		}
	}
}

// paddedMail is a mail with a fax of one page and so many octets behind its last part, which nobody reads.
func paddedMail(t *testing.T, n, padding int) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: anna@example.org\r\nTo: fax\r\nSubject: job-%d.\r\nMessage-ID: <job-%d@kill.example>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/tiff; name=job.tif\r\nContent-Disposition: attachment\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n", n, n)
	text := base64.StdEncoding.EncodeToString(markedPages(t, n, 1))
	for ; len(text) > 76; text = text[76:] {
		b.WriteString(text[:76] + "\r\n")
	}
	b.WriteString(text + "\r\n--b--\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", padding/78))
	return b.Bytes()
}

// TestLoad_FullDisk: the disk runs full while mails come in. They are refused for the time being, what was acknowledged is kept, and
// with room again all of it is faxed or reported, once.
func TestLoad_FullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		smtptest.Missing(t, "only root can mount a file system")
	}
	ttys := exchange(t, "20")
	s := newSink(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=170m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	b := newBox(t, ttys[0], s.addr, "[retry]\nno_answer_tries = 1\n[cover]\nbody = false\n")
	if err := os.Rename(filepath.Join(b.dir, "data"), filepath.Join(b.dir, "unused")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(b.config, bytes.ReplaceAll(text, []byte(b.data), []byte(data)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.data = data
	if err := os.CopyFS(filepath.Join(data, "cache"), os.DirFS(pdfCache)); err != nil {
		t.Fatal(err)
	}
	b.start()
	box := &inbox{dir: s.dir, seen: map[string]sunk{}}
	hand := func(n int) error {
		return handIn(b.smtp, "anna@example.org", fmt.Sprintf("%d@fax.example.org", 5550200+n), paddedMail(t, n, 400_000)) // nobody answers
	}
	for n := 1; n <= 3; n++ {
		if err := hand(n); err != nil {
			t.Fatalf("mail %d: %v", n, err)
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(dir, "fill")
	if err := os.WriteFile(fill, make([]byte, int64(fs.Bavail)*fs.Bsize-35<<20), 0o600); err != nil { // 32 MiB are kept in reserve
		t.Fatal(err)
	}
	var later []int
	const mails = 24
	for n := 4; n <= mails; n++ {
		err := hand(n)
		if err == nil {
			continue
		}
		later = append(later, n)
		if reply := (*textproto.Error)(nil); !errors.As(err, &reply) || reply.Code != 452 {
			t.Errorf("mail %d, the disk being full: %v", n, err)
		}
	}
	if len(later) < 5 {
		t.Errorf("only %d mails were refused", len(later))
	}
	if alarms := b.get("/status.json"); !strings.Contains(alarms, "disk-full") {
		t.Error("no alarm about the disk")
	}
	b.kill() // and a crash on top
	b.start()
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	for _, n := range later {
		if err := hand(n); err != nil {
			t.Errorf("mail %d, with room again: %v", n, err)
		}
	}
	waitFor(t, 6*time.Minute, "a notice about every mail", func() bool {
		time.Sleep(300 * time.Millisecond)
		return len(box.notices(t)) == mails
	})
	for n, c := range box.notices(t) {
		if len(c.ids) != 1 {
			t.Errorf("mail %d has %d notices", n, len(c.ids))
		}
	}
	t.Logf("%d of %d mails came while the disk was full", len(later), mails)
}
