// Package recording writes down what goes over a modem's port, and plays it back: a transcript taken from a real modem becomes a
// test of the drivers ([Port] of a [Player] stands for the modem, in virtual time too).
//
// A recording is a text file. Its first line is "tipring recording 1", with " pages" behind it if page data is in it. Lines that begin
// with # are for people. Every other line is one event: seconds since the beginning, a sign, and what went over the port:
//
//	 0.000 > "ATQ0V1E0\r"                      to the modem
//	 0.031 < "\r\nOK\r\n"                      from the modem
//	14.200 > ff 13 8c 10 03                    octets in hex; 00*2700 is the same octet many times
//	15.200 > ff 03 42 .. 10 03                 .. stands for octets that are not told
//	17.900 > page 35120 3f1c...                page data that was left out, with DLE ETX: its length and SHA-256
//	20.000 ! dtr off                           DTR (on, off), or "purge": what was not sent yet was discarded
//	 3.000 = send {"number":"0000000"}         what our side was doing
//
// Telephone numbers, names and passwords are blotted out unless they were asked for; passwords always are.
package recording
