/*
 * deny_call SYSCALL ERROR COMMAND...: runs a command which a seccomp filter refuses a system call,
 * as containers do. SYSCALL is setup or enter, of io_uring, or openat2; ERROR is EPERM or ENOSYS.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int deny(unsigned number, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: deny_call setup|enter|openat2 EPERM|ENOSYS COMMAND...\n");
        return 2;
    }
    unsigned number = SYS_io_uring_setup;
    if (strcmp(argv[1], "enter") == 0)
        number = SYS_io_uring_enter;
    else if (strcmp(argv[1], "openat2") == 0)
        number = SYS_openat2;
    unsigned error = strcmp(argv[2], "ENOSYS") == 0 ? ENOSYS : EPERM;
    if (deny(number, error) != 0) {
        perror("deny_call");
        return 125;
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
