package storetest

import (
	"fmt"
	"os"
	"syscall"
)

func threadID() int { return syscall.Gettid() }

func threadExists(id int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", id))
	return err == nil
}
