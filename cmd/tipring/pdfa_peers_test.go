//go:build peers && soak

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// preflightJars are Apache PDFBox's validator of PDF/A-1b and what it needs (Debian: libpdfbox2-java, libactivation-java, libjaxb-api-java).
var preflightJars = []string{"preflight", "pdfbox2", "xmpbox", "fontbox2", "commons-logging", "javax.activation", "jaxb-api"}

// What convert writes as PDF is PDF/A-1b to Apache PDFBox Preflight in every coding, and the validator can tell when it is not.
func TestPeers_PDFA(t *testing.T) {
	t.Parallel()
	need(t, "java")
	var jars []string
	for _, j := range preflightJars {
		name := "/usr/share/java/" + j + ".jar"
		if _, err := os.Stat(name); err != nil {
			if os.Getenv("TIPRING_PEERS") == "required" {
				t.Fatal(err)
			}
			t.Skipf("%v (Debian: libpdfbox2-java, libactivation-java, libjaxb-api-java)", err)
		}
		jars = append(jars, name)
	}
	valid := func(name string) (bool, string) {
		said, err := exec.Command("java", "-cp", strings.Join(jars, ":"), "org.apache.pdfbox.preflight.Validator_A1b", name).CombinedOutput()
		return err == nil && bytes.Contains(said, []byte("is a valid PDF/A-1b file")), string(said)
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "Grüße <&>.txt")
	if err := os.WriteFile(text, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, coding := range []string{"mh", "mr", "mmr", "jbig"} {
		name := filepath.Join(dir, "Grüße <&> "+coding+".pdf")
		if _, said, status := tipring(t, time.Minute, "convert", "-o", name, "--coding", coding, text); status != exitOK {
			t.Fatal(said)
		}
		if ok, said := valid(name); !ok {
			t.Errorf("%s: %s", coding, said)
		}
	}
	name := filepath.Join(dir, "Grüße <&> mh.pdf")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(data, []byte("/OutputIntents"), []byte("/OutputIntentx"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, said := valid(name); ok {
		t.Errorf("without its output intent: %s", said)
	}
}
