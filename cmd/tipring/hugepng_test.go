//go:build peers

package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

// hugePNG writes a well-formed PNG of 50,000 x 50,000 black pels: 2.5 Gpel in some 300 kB.
func hugePNG(t *testing.T, name string) string {
	t.Helper()
	const side = 50000
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	head := make([]byte, 13)
	binary.BigEndian.PutUint32(head, side)
	binary.BigEndian.PutUint32(head[4:], side)
	head[8] = 1 // one bit grey
	pngChunk(&b, "IHDR", head)
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	row := make([]byte, 1+side/8)
	for range side {
		if _, err := z.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	pngChunk(&b, "IDAT", data.Bytes())
	pngChunk(&b, "IEND", nil)
	f := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(f, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func pngChunk(b *bytes.Buffer, kind string, data []byte) {
	binary.Write(b, binary.BigEndian, uint32(len(data)))
	body := append([]byte(kind), data...)
	b.Write(body)
	binary.Write(b, binary.BigEndian, crc32.ChecksumIEEE(body))
}
