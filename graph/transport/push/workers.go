package push

import (
	"runtime"
	"sync"
)

// Task is something to do that does not block.
type Task interface{ Run() }

// Workers run tasks in the order in which they were added, as many at a time as there
// are processors. The zero value is ready. The caller bounds the tasks that wait.
type Workers struct {
	mu      sync.Mutex
	waiting []Task // from next on
	next    int
	running int // goroutines
}

// Start runs a task in the calling goroutine with now, and adds it otherwise.
func (w *Workers) Start(task Task, now bool) {
	if now {
		task.Run()
		return
	}
	w.Add(task)
}

// Add adds a task. It does not block.
func (w *Workers) Add(task Task) {
	w.mu.Lock()
	w.waiting = append(w.waiting, task)
	start := w.running < runtime.GOMAXPROCS(0)
	if start {
		w.running++
	}
	w.mu.Unlock()
	if start {
		go w.work()
	}
}

func (w *Workers) work() {
	for task := w.take(); task != nil; task = w.take() {
		task.Run()
	}
}

// take returns the next task. When there is none, the calling worker ends.
func (w *Workers) take() Task {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == len(w.waiting) {
		w.running--
		w.waiting, w.next = nil, 0
		return nil
	}
	task := w.waiting[w.next]
	w.waiting[w.next] = nil
	if w.next++; 2*w.next >= len(w.waiting) && w.next > 1000 { // so that appending uses the places before
		kept := copy(w.waiting, w.waiting[w.next:])
		clear(w.waiting[kept:])
		w.waiting, w.next = w.waiting[:kept], 0
	}
	return task
}
