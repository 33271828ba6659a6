/*
 * Runs a fuzzer on the files of directories, in the place of libFuzzer's own main(): NAME DIR...
 * says how many there were. Each is named on stderr before, so that the last one is the one that
 * failed.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX   (1u << 16)
#define SECONDS_MAX 60 /* of an input that takes a hundredth of one */

static uint8_t input[INPUT_MAX];

/* A fuzzer may take away its own rights and root: what it is to run is read before. */
struct file {
    char *name;
    uint8_t *data;
    size_t size;
};

static struct file *files;
static size_t count;

static void read_file(const char *dir, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fuzz_fail("cannot read %s", path);
    size_t size = fread(input, 1, sizeof(input), file);
    fclose(file);
    files = realloc(files, (count + 1) * sizeof(*files));
    if (!files)
        abort();
    /* As large as the input, so that a look behind it is seen. */
    files[count++] = (struct file){strdup(path), malloc(size + !size), size};
    memcpy(files[count - 1].data, input, size);
}

static void read_dir(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (!dir)
        fuzz_fail("cannot read %s", path);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            read_file(path, entry->d_name);
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        read_dir(argv[i]);
    LLVMFuzzerInitialize(&argc, &argv);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s\n", files[i].name);
        alarm(SECONDS_MAX);
        LLVMFuzzerTestOneInput(files[i].data, files[i].size);
        free(files[i].data);
        free(files[i].name);
    }
    free(files);
    printf("%zu inputs\n", count);
    return 0;
}
