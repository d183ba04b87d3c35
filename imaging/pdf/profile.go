package pdf

import "encoding/binary"

// greyProfile returns an ICC profile (ICC.1:2001-04) of a grey display with gamma 2.2: PDF/A wants to know what device grey is
// (ISO 19005-1 6.2.3.3), even if it is but black and white.
func greyProfile() []byte {
	be := binary.BigEndian
	description := append([]byte("desc\x00\x00\x00\x00"), be.AppendUint32(nil, uint32(len("Grey")+1))...)
	description = append(description, "Grey\x00"...)
	description = append(description, make([]byte, 4+4+2+1+67)...) // no Unicode, no ScriptCode
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", description},
		{"cprt", []byte("text\x00\x00\x00\x00Public domain\x00")},
		{"wtpt", xyz("XYZ \x00\x00\x00\x00")},
		{"kTRC", []byte("curv\x00\x00\x00\x00\x00\x00\x00\x01\x02\x33")}, // 2.2 in 1/256
	}
	const header = 128
	at := header + 4 + 12*len(tags)
	table, body := be.AppendUint32(nil, uint32(len(tags))), []byte(nil)
	for _, t := range tags {
		table = be.AppendUint32(append(table, t.name...), uint32(at+len(body)))
		table = be.AppendUint32(table, uint32(len(t.data)))
		body = append(body, t.data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	p := make([]byte, header)
	be.PutUint32(p, uint32(at+len(body)))
	be.PutUint32(p[8:], 0x02100000) // version 2.1
	copy(p[12:], "mntrGRAYXYZ ")
	for i, v := range []uint16{2026, 1, 1} { // the date of the profile, which never changes
		be.PutUint16(p[24+2*i:], v)
	}
	copy(p[36:], "acsp")
	copy(p[68:], xyz(""))
	return append(append(p, table...), body...)
}

// xyz appends the colour of the light D50 to a text.
func xyz(before string) []byte {
	return append([]byte(before), "\x00\x00\xf6\xd6\x00\x01\x00\x00\x00\x00\xd3\x2d"...)
}
