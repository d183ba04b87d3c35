package appliance

import (
	"bufio"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/t30"
)

// injections are texts that would end a header field and begin another, in every disguise that some program undoes.
var injections = map[string]string{
	"CRLF":              "x\r\nBcc: victim@elsewhere.example",
	"LF":                "x\nBcc: victim@elsewhere.example",
	"CR":                "x\rBcc: victim@elsewhere.example",
	"empty line":        "x\r\n\r\nBcc: victim@elsewhere.example",
	"folded":            "x\r\n Bcc: victim@elsewhere.example",
	"NUL":               "x\x00\r\nBcc: victim@elsewhere.example",
	"encoded word":      "=?utf-8?q?x=0D=0ABcc:_victim@elsewhere.example?=",
	"encoded word, LF":  "=?utf-8?q?x=0ABcc:_victim@elsewhere.example?=",
	"encoded word, b64": "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZWxzZXdoZXJlLmV4YW1wbGU=?=",
	"two encoded words": "=?utf-8?q?x=0D?= =?utf-8?q?=0ABcc:_victim@elsewhere.example?=",
	"UTF-7":             "=?utf-7?q?x+AA0ACg-Bcc:_victim@elsewhere.example?=",
	"UTF-16":            "=?utf-16be?b?AHgADQAKAEIAYwBjADoAIAB2AGkAYwB0AGkAbQBAAGUAbABzAGUAdwBoAGUAcgBlAC4AZQB4AGEAbQBwAGwAZQ==?=",
	"line separator":    "x\u2028Bcc: victim@elsewhere.example",
	"NEL":               "x\u0085Bcc: victim@elsewhere.example",
	"vertical tab":      "x\x0bBcc: victim@elsewhere.example",
	"percent":           "x%0D%0ABcc: victim@elsewhere.example",
	"escaped":           `x\r\nBcc: victim@elsewhere.example`,
	"quoted":            "x\"\r\nBcc: victim@elsewhere.example",
	"boundary":          "x\r\n--=_tipring\r\nContent-Type: text/html\r\n\r\n<script>",
	"end of data":       "x\r\n.\r\nMAIL FROM:<anna@example.org>\r\n",
	"escape sequences":  "x\x1b]0;y\x07\x1b[2J",
	"very long":         strings.Repeat("x\r\nBcc: victim@elsewhere.example", 400),
}

// TestAbuse_HeaderInjection: whatever a sender or a fax machine says, our mails have the header that we wrote, and nothing else.
func TestAbuse_HeaderInjection(t *testing.T) {
	t.Parallel()
	f := newFortress(t, func(c *Config) { c.Lines[0].Send, c.Lines[0].Receive = false, true })
	// The far end's words stand in a received fax; the sender's in a notice, here that the fax was canceled: no line sends.
	for name, evil := range injections {
		f.hostileFax(evil)
		c := dialTalk(t, f.lan)
		for _, text := range []string{
			"From: anna@example.org\r\nSubject: " + evil + "\r\n",
			"From: \"" + evil + "\" <anna@example.org>\r\nSubject: " + name + "\r\n",
			"From: anna@example.org\r\nSubject: " + name + " [fax: to=" + evil + "]\r\n",
			"From: anna@example.org\r\nMessage-ID: <" + evil + "@example.org>\r\nSubject: " + name + "\r\n",
			"From: anna@example.org\r\nSubject: " + name + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x-evil; name=\"" +
				evil + "\"\r\nContent-Disposition: attachment; filename=\"" + evil + "\"\r\n\r\nMZ\r\n--b--\r\n",
		} {
			if !strings.Contains(text, "multipart") {
				text += "Content-Type: application/x-evil\r\nContent-Disposition: attachment; filename=evil.exe\r\n\r\nMZ\r\n"
			}
			c.hand("<anna@example.org>", "<"+demoReceiver+"@"+demoFax+">", strings.ReplaceAll(text, "\r\n.\r\n", "\r\n..\r\n"))
		}
		local := `"5550101.to=` + strings.NewReplacer("\r", "\\\r", "\n", "\\\n", "\"", "\\\"").Replace(evil[:min(len(evil), 60)]) + `"`
		c.hand("<anna@example.org>", "<"+local+"@"+demoFax+">", "From: anna@example.org\r\nSubject: "+name+"\r\n\r\n")
		c.conn.Close()
	}
	f.cancelAll()
	if jobs, notices := len(f.jobs()), f.with("X-Tipring-Outcome: "); jobs < 2*len(injections) || notices != jobs {
		t.Errorf("%d jobs, %d notices", jobs, notices)
	}
	if n := f.with("Content-Class: fax"); n != len(injections) {
		t.Errorf("%d received faxes mailed of %d", n, len(injections))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, mail := range f.mails {
		checkHeader(t, mail)
	}
}

func (f *fortress) jobs() []queue.Job {
	f.t.Helper()
	jobs, err := f.app.q.Jobs(0)
	if err != nil {
		f.t.Fatal(err)
	}
	return jobs
}

// hostileFax is a received fax of one page whose sender's name and number are evil.
func (f *fortress) hostileFax(evil string) {
	f.t.Helper()
	ctx, far := f.t.Context(), t30.Remote{ID: evil}
	// Of no line that works: one that opens its modem ends what its last run had left open.
	k := f.app.g.NewKeeper(queue.NewFax{Line: "elsewhere", Caller: evil, Dialed: demoReceiver, Subaddress: evil})
	w, err := call.NewSink(k, nil).BeginPage(ctx, far, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR})
	if err != nil {
		f.t.Fatal(err)
	}
	page := imaging.New(1728, 300)
	page.SetBlack(100, 150)
	data, err := t4.Append(nil, page, t4.Line(imaging.MMR, imaging.Fine))
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		f.t.Fatal(err)
	}
	if err := w.Finish(ctx, t30.Good); err != nil {
		f.t.Fatal(err)
	}
	if _, ok, err := k.Finish(t30.Report{Code: t30.CodeOK, Received: 1, Remote: far}); err != nil || !ok {
		f.t.Fatal(ok, err)
	}
}

// checkHeader parses a mail of ours strictly.
func checkHeader(t *testing.T, mail string) {
	t.Helper()
	head, _, ok := strings.Cut(mail, "\r\n\r\n")
	if !ok {
		t.Errorf("no end of the header: %.200q", mail)
		return
	}
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(head + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		t.Errorf("%v: %.400q", err, head)
		return
	}
	for field, values := range h {
		if !slices.Contains(ourFields, field) || len(values) != 1 {
			t.Errorf("%s stands there %d times: %q", field, len(values), values)
		}
	}
	for _, one := range []string{"From", "To", "Date", "Message-Id", "Subject", "Mime-Version", "Content-Type"} {
		if len(h[one]) != 1 {
			t.Errorf("%d fields %s", len(h[one]), one)
		}
	}
	for i, c := range []byte(mail) {
		if c == '\n' && (i == 0 || mail[i-1] != '\r') || c == '\r' && (i+1 == len(mail) || mail[i+1] != '\n') || c == 0 {
			t.Errorf("a bare line end or NUL at octet %d of %s: %q", i, h.Get("Subject"), mail[max(0, i-40):min(len(mail), i+40)])
			break
		}
		if i < len(head) && (c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t') {
			t.Errorf("octet %#x in the header: %q", c, head)
			break
		}
	}
	for _, line := range strings.Split(mail, "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// ourFields are what our mails have in their header.
var ourFields = []string{"Date", "Message-Id", "From", "To", "Subject", "In-Reply-To", "References", "Auto-Submitted", "X-Auto-Response-Suppress", "X-Tipring-Loop",
	"X-Tipring-Job", "X-Tipring-Outcome", "X-Tipring-Fax", "Mime-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Class", "X-Faxnumberofpages",
	"X-Callingtelephonenumber", "X-Attachmentorder"}
