//go:build !linux

package raster

func mapMemory(n int) []byte { return make([]byte, n) }

func unmapMemory([]byte) {}
