package main

import (
	"path/filepath"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/t30"
)

// TestReceive_Polls: `receive --to` fetches what `receive --offer` offers, over two virtual modems, or is told why not.
func TestReceive_Polls(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	name, want := testTIFF(t, 1728, 700, imaging.Fine)
	for _, c := range []struct {
		what, offer, ask string
		code             t30.Code // of the poller; CodeOK: the document came
	}{
		{"plain", "--offer " + name, "", t30.CodeOK},
		{"by address", "--offer " + name + " --sep 42", "--sep 42", t30.CodeOK},
		{"with a password", "--offer " + name + " --password 1234", "--password 1234", t30.CodeOK},
		{"address and password", "--offer " + name + " --sep 42 --password 1234", "--sep 42 --password 1234", t30.CodeOK},
		{"unknown address", "--offer " + name + " --sep 42", "--sep 43", t30.CodeNothingToPoll},
		{"no address", "--offer " + name + " --sep 42", "", t30.CodeNothingToPoll},
		{"wrong password", "--offer " + name + " --password 1234", "--password 4321", t30.CodeNothingToPoll},
		{"no password", "--offer " + name + " --password 1234", "", t30.CodeNothingToPoll},
		{"nothing offered", "", "", t30.CodeNothingToPoll},
	} {
		polled, far := p.call("--out "+t.TempDir()+" "+c.offer, receiveMain, "--out "+t.TempDir()+" "+c.ask)
		if c.code == t30.CodeOK {
			if polled.status != exitOK || polled.Outcome != "received" || far.status != exitOK || far.Outcome != "sent" || far.Pages != 1 {
				t.Errorf("%s: %+v, %+v", c.what, polled, far)
				continue
			}
			if page := onePage(t, polled); !page.Equal(want) {
				t.Errorf("%s: %dx%d came", c.what, page.Width, page.Height)
			}
			continue
		}
		if polled.status != exitLine || polled.Outcome != "failed" || polled.Code != int(c.code) || len(polled.Files) != 0 || far.status != exitLine || far.Outcome != "failed" {
			t.Errorf("%s: %+v, %+v", c.what, polled, far)
		}
	}
}

// TestSend_ThenPolls: `send --poll` fetches the far end's document in the same call after its own.
func TestSend_ThenPolls(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	letter, sentPage := testTIFF(t, 1728, 500, imaging.Fine)
	offered, offeredPage := testTIFF(t, 1728, 900, imaging.Standard)
	dir := t.TempDir()
	sent, got := p.call("--out "+t.TempDir()+" --offer "+offered, sendMain, "--header none --poll "+dir+" "+letter)
	if sent.status != exitOK || sent.Outcome != "sent" || sent.Pages != 1 || got.status != exitOK || got.Outcome != "received" || got.Pages != 1 {
		t.Fatalf("%+v, %+v", sent, got)
	}
	if a, b := onePage(t, sent), onePage(t, got); !a.Equal(offeredPage) || !b.Equal(sentPage) || filepath.Dir(sent.Files[0]) != dir {
		t.Errorf("polled %dx%d into %v, sent %dx%d", a.Width, a.Height, sent.Files, b.Width, b.Height)
	}
	// Nothing to poll: the letter arrives all the same, and the command says so.
	sent, got = p.call("--out "+t.TempDir(), sendMain, "--header none --sub 77 --poll "+dir+" "+letter)
	if sent.status != exitLine || sent.Outcome != "partial" || sent.Code != int(t30.CodeNothingToPoll) || sent.Pages != 1 || got.Outcome != "received" || got.Subaddress != "77" {
		t.Errorf("%+v, %+v", sent, got)
	}
}

// TestSend_ThenPollsByAddress: SEP goes with the turnaround's DTC; the wrong one or none fetches nothing, and the letter arrives all the same.
func TestSend_ThenPollsByAddress(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	letter, _ := testTIFF(t, 1728, 500, imaging.Fine)
	offered, offeredPage := testTIFF(t, 1728, 900, imaging.Standard)
	for _, c := range []struct {
		ask  string
		code t30.Code
	}{{"--sep 42 ", t30.CodeOK}, {"--sep 43 ", t30.CodeNothingToPoll}, {"", t30.CodeNothingToPoll}} {
		sent, got := p.call("--out "+t.TempDir()+" --sep 42 --offer "+offered, sendMain, "--header none "+c.ask+"--poll "+t.TempDir()+" "+letter)
		if sent.Pages != 1 || got.Pages != 1 || sent.Code != int(c.code) {
			t.Errorf("%q: %+v, %+v", c.ask, sent, got)
		}
		if c.code != t30.CodeOK {
			if len(sent.Files) != 0 || sent.Outcome != "partial" {
				t.Errorf("%q: %+v", c.ask, sent)
			}
			continue
		}
		if page := onePage(t, sent); !page.Equal(offeredPage) {
			t.Errorf("%dx%d came", page.Width, page.Height)
		}
	}
}
