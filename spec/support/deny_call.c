/*
 * deny_call SYSCALL ERROR COMMAND...: runs a command which a seccomp filter refuses a system call,
 * as containers do. SYSCALL is setup or enter, of io_uring, openat2, getrandom or landlock; ERROR
 * is the name of one of those below.
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

static const struct word {
    const char *name;
    unsigned number;
} calls[] =
    {
        {"setup", SYS_io_uring_setup},
        {"enter", SYS_io_uring_enter},
        {"openat2", SYS_openat2},
        {"getrandom", SYS_getrandom},
        {"landlock", 444}, /* SYS_landlock_create_ruleset, which older headers lack */
        {NULL, 0},
},
  errors[] = {
      {"EPERM", EPERM},   {"ENOSYS", ENOSYS}, {"EINTR", EINTR}, {"ENOMEM", ENOMEM},
      {"EMFILE", EMFILE}, {"EAGAIN", EAGAIN}, {NULL, 0},
};

static const struct word *find(const struct word *words, const char *name)
{
    while (words->name && strcmp(words->name, name) != 0)
        words++;
    return words->name ? words : NULL;
}

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
    const struct word *call = argc > 3 ? find(calls, argv[1]) : NULL;
    const struct word *error = argc > 3 ? find(errors, argv[2]) : NULL;

    if (!call || !error) {
        fprintf(stderr,
                "usage: deny_call setup|enter|openat2|getrandom|landlock ERROR COMMAND...\n");
        return 2;
    }
    if (deny(call->number, error->number) != 0) {
        perror("deny_call");
        return 125;
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
