package tnef

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"unicode/utf16"
)

// writer makes TNEF streams for the tests, as [MS-OXTNEF] describes them.
type writer struct{ bytes.Buffer }

func newWriter() *writer {
	w := &writer{}
	w.u32(signature)
	w.u16(1)
	w.attr(1, 0x00089006, []byte{0, 0, 1, 0}) // attTnefVersion
	w.attr(1, attOemCodepage, []byte{0xE4, 4, 0, 0, 0, 0, 0, 0})
	return w
}

func (w *writer) u16(v uint16) { binary.Write(w, binary.LittleEndian, v) }
func (w *writer) u32(v uint32) { binary.Write(w, binary.LittleEndian, v) }

func (w *writer) attr(level byte, id uint32, data []byte) {
	w.WriteByte(level)
	w.u32(id)
	w.u32(uint32(len(data)))
	w.Write(data)
	var sum uint16
	for _, c := range data {
		sum += uint16(c)
	}
	w.u16(sum)
}

// prop is one property to write: data for fixed and variable kinds alike.
type prop struct {
	id, kind uint16
	data     []byte
}

func str8(id uint16, s string) prop { return prop{id, typeString8, []byte(s + "\x00")} }
func uni(id uint16, s string) prop {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, append(utf16.Encode([]rune(s)), 0))
	return prop{id, typeUnicode, b.Bytes()}
}
func i4(id uint16, v uint32) prop {
	return prop{id, typeInt32, binary.LittleEndian.AppendUint32(nil, v)}
}
func bin(id uint16, b []byte) prop { return prop{id, typeBinary, b} }

func props(list ...prop) []byte {
	w := &writer{}
	w.u32(uint32(len(list)))
	for _, p := range list {
		w.u16(p.kind)
		w.u16(p.id)
		if p.id >= 0x8000 { // named: a GUID and, as here, a string
			w.Write(make([]byte, 16))
			name := uni(0, "Keywords").data
			w.u32(1)
			w.u32(uint32(len(name)))
			w.padded(name)
		}
		if _, fixed := fixedSize[p.kind]; fixed {
			w.padded(p.data)
			continue
		}
		w.u32(1)
		w.u32(uint32(len(p.data)))
		w.padded(p.data)
	}
	return w.Bytes()
}

func (w *writer) padded(b []byte) {
	w.Write(b)
	w.Write(make([]byte, (4-len(b)%4)%4))
}

// file writes an attachment as Outlook does: rendering data, short title, content, long name behind it.
func (w *writer) file(short, long string, content []byte, more ...prop) {
	w.attr(2, attAttachRendData, append([]byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, make([]byte, 8)...))
	w.attr(2, attAttachTitle, []byte(short+"\x00"))
	w.attr(2, attAttachData, content)
	w.attr(2, attAttachment, props(append([]prop{uni(propLongName, long)}, more...)...))
}

// embedded writes an attachment that is an object: a message (iidMessage) or OLE.
func (w *writer) object(name string, iid, content []byte) {
	w.attr(2, attAttachRendData, make([]byte, 14))
	w.attr(2, attAttachment, props(str8(propDisplayName, name), prop{propAttachData, typeObject, append(append([]byte(nil), iid...), content...)}))
}

// compressRTF writes the compressed form, using references where it finds any (the simplest search there is).
func compressRTF(rtf string) []byte {
	window := []byte(rtfDictionary) // its end is the write position, modulo 4096
	var body []byte
	var group []byte
	flags, count := byte(0), 0
	flush := func() {
		if count > 0 {
			body = append(append(body, flags), group...)
			group, flags, count = group[:0], 0, 0
		}
	}
	ref := func(offset, length int) {
		v := uint16(offset%rtfWindow)<<4 | uint16(length-2)
		group = append(group, byte(v>>8), byte(v))
		flags |= 1 << count
		count++
	}
	for i := 0; i < len(rtf); {
		length, at := 0, 0
		for n := min(17, len(rtf)-i); n >= 3 && length == 0; n-- {
			from := max(0, len(window)-4000)
			if k := strings.LastIndex(string(window[from:]), rtf[i:i+n]); k >= 0 {
				length, at = n, from+k
			}
		}
		if length > 0 {
			ref(at, length)
		} else {
			length = 1
			group = append(group, rtf[i])
			count++
		}
		window = append(window, rtf[i:i+length]...)
		i += length
		if count == 8 {
			flush()
		}
	}
	ref(len(window), 2)
	flush()
	return rtfHeader(rtfCompressed, len(rtf), body, ^crc32.Update(^uint32(0), crc32.IEEETable, body))
}

func rtfHeader(kind uint32, size int, body []byte, crc uint32) []byte {
	w := &writer{}
	w.u32(uint32(len(body) + 12))
	w.u32(uint32(size))
	w.u32(kind)
	w.u32(crc)
	w.Write(body)
	return w.Bytes()
}
