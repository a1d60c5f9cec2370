package safe

import "unicode/utf8"

// Bytes are the bytes of a text that JSON cannot hold unchanged, because some are
// no UTF-8 and would each become U+FFFD; nil where it can. As a field of type
// []byte they stand in JSON as base64.
func Bytes(text string) []byte {
	if utf8.ValidString(text) {
		return nil
	}
	return []byte(text)
}
