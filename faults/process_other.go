//go:build !linux

package faults

import "syscall"

// ownGroup keeps an interrupt typed at the terminal away from a copy.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
