package tnef

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Property types ([MS-OXCDATA] 2.11.1).
const (
	typeInt32    = 0x0003
	typeBool     = 0x000B
	typeObject   = 0x000D
	typeString8  = 0x001E
	typeUnicode  = 0x001F
	typeBinary   = 0x0102
	typeMultiple = 0x1000
)

// fixedSize is what a value of fixed size takes, padded to four octets ([MS-OXTNEF] 2.1.3.4).
var fixedSize = map[uint16]int64{
	0x0002: 4, typeInt32: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000A: 4, typeBool: 4, 0x0014: 8, 0x0040: 8, 0x0048: 16,
}

// Property identifiers ([MS-OXPROPS]).
const (
	propClass       = 0x001A
	propSubject     = 0x0037
	propSenderName  = 0x0C1A
	propBody        = 0x1000
	propRTF         = 0x1009
	propHTML        = 0x1013
	propCpid        = 0x3FDE
	propDisplayName = 0x3001
	propAttachData  = 0x3701
	propAttachName  = 0x3704
	propLongName    = 0x3707
	propMimeTag     = 0x370E
	propContentID   = 0x3712
	propAttachFlags = 0x3714
	propHidden      = 0x7FFE
)

// value is one property's value, not yet read.
type value struct {
	id, kind uint16
	*block
}

// properties reads a counted list of properties; take gets each one's first value and need not read it all. A list that
// is damaged in itself is passed over and remembered.
func (b *builder) properties(data *block, take func(value) error) error {
	err := b.propertyList(data, take)
	if errors.Is(err, ErrDamaged) && !data.cut {
		if b.damage == nil {
			b.damage = err
		}
		if b.att != nil {
			b.att.Damaged = true
		}
		return nil
	}
	return err
}

func (b *builder) propertyList(data *block, take func(value) error) error {
	n, err := data.u32()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := b.d.count(); err != nil {
			return err
		}
		if err := b.property(data, take); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) property(data *block, take func(value) error) error {
	tag, err := data.u32()
	if err != nil {
		return err
	}
	kind, id := uint16(tag), uint16(tag>>16)
	if id >= 0x8000 {
		if err := skipName(data); err != nil {
			return err
		}
	}
	multiple := kind&typeMultiple != 0
	kind &^= typeMultiple
	size, fixed := fixedSize[kind]
	variable := kind == typeObject || kind == typeString8 || kind == typeUnicode || kind == typeBinary
	if !fixed && !variable && kind > 1 {
		return fmt.Errorf("%w: property type 0x%04X", ErrDamaged, kind)
	}
	count := uint32(1)
	if multiple || variable {
		if count, err = data.u32(); err != nil {
			return err
		}
	}
	for i := range count {
		if err := b.d.count(); err != nil {
			return err
		}
		if variable {
			n, err := data.u32()
			if err != nil {
				return err
			}
			size = int64(n)
		}
		if err := b.value(value{id, kind, &block{r: data, left: size}}, i == 0, take); err != nil {
			return err
		}
		if err := skip(data, (4-size%4)%4); err != nil {
			return err
		}
	}
	return nil
}

// value hands one value on and passes over what is left of it.
func (b *builder) value(v value, first bool, take func(value) error) error {
	if int64(v.left) > v.r.(*block).left {
		return short(io.EOF)
	}
	if first {
		if err := take(v); err != nil {
			return err
		}
	}
	return v.drain()
}

// skipName passes over what identifies a named property: GUID, kind, number or string.
func skipName(data *block) error {
	if err := skip(data, 16); err != nil {
		return err
	}
	kind, err := data.u32()
	if err != nil {
		return err
	}
	n, err := data.u32() // the number, or the string's length
	if err != nil || kind == 0 {
		return err
	}
	return skip(data, (int64(n)+3)/4*4)
}

// skip passes over n octets; fewer at the end of the attribute are damage.
func skip(data *block, n int64) error {
	if n > data.left {
		return short(io.EOF)
	}
	_, err := io.CopyN(io.Discard, data, n)
	return err
}

func (v value) text(codepage int, most int64) (string, error) {
	raw, err := v.keep(most)
	switch v.kind {
	case typeUnicode:
		return decodeString(utf16LE, raw), err
	case typeString8:
		return decodeString(codepage, raw), err
	}
	return "", err
}

func (v value) number() (uint32, error) {
	if v.kind != typeInt32 && v.kind != typeBool {
		return 0, nil
	}
	n, err := v.u32()
	if v.kind == typeBool {
		n &= 0xFFFF
	}
	return n, err
}

func (b *builder) messageProperty(v value) (err error) {
	most := b.d.limits.Text
	set := func(to *string, most int64) {
		var s string
		if s, err = v.text(b.codepage, most); s != "" {
			*to = s
		}
	}
	switch v.id {
	case propClass:
		set(&b.msg.Class, 256)
	case propSubject:
		set(&b.msg.Subject, 4096)
	case propSenderName:
		set(&b.msg.From, 1024)
	case propBody:
		b.msg.Cut = b.msg.Cut || v.left > most
		set(&b.msg.Text, most)
	case propCpid:
		var n uint32
		n, err = v.number()
		b.cpid = int(n)
	case propHTML:
		b.msg.Cut = b.msg.Cut || v.left > most
		if v.kind == typeUnicode {
			set(&b.msg.HTML, most)
		} else {
			b.rawHTML, err = v.keep(most)
		}
	case propRTF:
		b.msg.Cut = b.msg.Cut || v.left > most
		var raw []byte
		if raw, err = v.keep(most); err == nil {
			rtf, cut := decompress(raw, int(most))
			b.msg.Cut = b.msg.Cut || cut
			b.msg.RTF = rtfText(rtf, int(most))
		}
	}
	return err
}

func (b *builder) attachmentProperty(v value) (err error) {
	var s string
	switch v.id {
	case propLongName, propAttachName, propDisplayName:
		if s, err = v.text(b.codepage, 1024); s != "" && (v.id == propLongName || b.att.Name == "") {
			b.att.Name = s
		}
	case propMimeTag:
		b.att.Type, err = v.text(b.codepage, 127)
	case propContentID:
		if s, err = v.text(b.codepage, 255); err == nil {
			b.att.ContentID = strings.Trim(s, "<>")
		}
	case propAttachFlags: // 4: rendered in the body
		var n uint32
		n, err = v.number()
		b.att.Inline = b.att.Inline || n&4 != 0
	case propHidden:
		var n uint32
		n, err = v.number()
		b.att.Inline = b.att.Inline || n != 0
	case propAttachData:
		err = b.attachedObject(v)
	}
	return err
}

// iidMessage marks an embedded message ([MS-OXTNEF] 2.1.3.4); other identifiers are OLE storages and streams.
var iidMessage = []byte{0x07, 0x03, 0x02, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}

// attachedObject reads content that stands among the properties: binary, an embedded message, or an OLE object.
func (b *builder) attachedObject(v value) error {
	if v.kind == typeBinary {
		return b.content(v.block)
	}
	if v.kind != typeObject || b.started {
		return nil
	}
	iid := make([]byte, 16)
	if _, err := io.ReadFull(v, iid); err != nil {
		return short(err)
	}
	if !bytes.Equal(iid, iidMessage) {
		b.att.Object = true
		return b.content(v.block)
	}
	b.started = true
	var err error
	b.att.Message, err = b.d.message(v, b.depth+1)
	return err
}
