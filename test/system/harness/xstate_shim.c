// Preloaded into the user-mode kernel so that it boots on CPUs whose register state outgrew it.
//
// User-mode Linux keeps a process's floating-point registers in a buffer that ends with the last
// component it knows (2696 bytes: up to AVX-512 and PKRU) and hands them back to the host with
// PTRACE_SETREGSET / NT_X86_XSTATE. Reading that register set may be cut short, but writing it must
// not be: where the CPU has more components (AMX adds 8 KiB of tile registers) the host answers
// EFAULT, and user-mode Linux panics at its first process.
//
// So ptrace() is wrapped: after the first such refusal, that register set is written in the size
// the host reads it in. The added tail is zero, the initial state of components that the guest does
// not know and therefore cannot use. Where nothing is refused, nothing changes.

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kLargestRegisterSet = 64 * 1024 };

// The size the host demands; 0 until it refuses the one user-mode Linux offers.
static size_t demanded_size;

static long ptrace_syscall(long request, long pid, void* address, void* data) {
  return syscall(SYS_ptrace, request, pid, address, data);
}

// How large the host's own register set is, or 0 if it cannot be read.
static size_t register_set_size(long pid, void* register_set) {
  static unsigned char registers[kLargestRegisterSet];
  struct iovec all = {registers, sizeof registers};
  return ptrace_syscall(PTRACE_GETREGSET, pid, register_set, &all) == 0 ? all.iov_len : 0;
}

// Writes a register set, padded with zeros to the size the host demands.
static long set_padded(long pid, void* register_set, const struct iovec* known) {
  static unsigned char registers[kLargestRegisterSet];
  memcpy(registers, known->iov_base, known->iov_len);
  struct iovec padded = {registers, demanded_size};
  return ptrace_syscall(PTRACE_SETREGSET, pid, register_set, &padded);
}

static long set_extended_registers(long pid, void* register_set, struct iovec* known) {
  if (demanded_size > known->iov_len) return set_padded(pid, register_set, known);
  const long status = ptrace_syscall(PTRACE_SETREGSET, pid, register_set, known);
  if (status == 0 || errno != EFAULT) return status;
  demanded_size = register_set_size(pid, register_set);
  if (demanded_size > known->iov_len) return set_padded(pid, register_set, known);
  errno = EFAULT;
  return -1;
}

// The C library's contract: the three PEEK requests return the word that the system call stores.
static long peek(long request, long pid, void* address) {
  long word = 0;
  if (ptrace_syscall(request, pid, address, &word) != 0) return -1;
  errno = 0;
  return word;
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const long pid = va_arg(arguments, pid_t);
  void* const address = va_arg(arguments, void*);
  void* const data = va_arg(arguments, void*);
  va_end(arguments);

  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    return peek(request, pid, address);
  }
  if (request == PTRACE_SETREGSET && (unsigned long)address == NT_X86_XSTATE) {
    return set_extended_registers(pid, address, data);
  }
  return ptrace_syscall(request, pid, address, data);
}
