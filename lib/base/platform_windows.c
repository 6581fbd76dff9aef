/*
 * The system by Windows 8 or later: errors, random bytes, clocks, files. Descriptors are those of
 * the C library, so that 0 to 2 mean what they mean elsewhere, but bytes pass by it: it would
 * translate line ends. Paths are converted to UTF-16, and long ones get the prefix that lifts the
 * limit of 260 characters.
 *
 * Codes are those of <errno.h> where it has one that says the same, so that messages have the words
 * of other systems; others are the number of Windows plus SYSTEM_CODES.
 *
 * Left out: symbolic links are followed where files are read, but a new file takes the place of a
 * link; a new file has the rights that its directory hands down.
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include "base/platform.h"
#include "base/platform_file.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdatomic.h>
#include <string.h>
#include <windows.h>

#include <bcrypt.h>

enum {
    SYSTEM_CODES = 1 << 16,
    PATH_UNITS = 4096,
    LONG_PATH_UNITS = 240, /* directories have a limit of 248 */
    MESSAGE_UNITS = 256,
    SHARED = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
};

/* What one call is asked for. */
#define MOST_BYTES ((size_t)1 << 30)

static int code_of_error(DWORD error)
{
    static const struct {
        DWORD error;
        int code;
    } known[] = {{ERROR_FILE_NOT_FOUND, ENOENT},
                 {ERROR_PATH_NOT_FOUND, ENOENT},
                 {ERROR_FILE_EXISTS, EEXIST},
                 {ERROR_ALREADY_EXISTS, EEXIST},
                 {ERROR_ACCESS_DENIED, EACCES},
                 {ERROR_SHARING_VIOLATION, EBUSY},
                 {ERROR_LOCK_VIOLATION, EBUSY},
                 {ERROR_USER_MAPPED_FILE, EBUSY},
                 {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
                 {ERROR_OUTOFMEMORY, ENOMEM},
                 {ERROR_COMMITMENT_LIMIT, ENOMEM},
                 {ERROR_DISK_FULL, ENOSPC},
                 {ERROR_HANDLE_DISK_FULL, ENOSPC},
                 {ERROR_INVALID_HANDLE, EBADF},
                 {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
                 {ERROR_BROKEN_PIPE, EPIPE},
                 {ERROR_NO_DATA, EPIPE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == error)
            return known[i].code;
    return SYSTEM_CODES + (int)error;
}

/* 0, or what the system says about a call that failed. */
static int code_of(BOOL is_done)
{
    return is_done ? 0 : code_of_error(GetLastError());
}

static bool is_end_of_sentence(wchar_t c)
{
    return c == L'.' || c == L'\r' || c == L'\n' || c == L' ';
}

void plk_system_message(int code, char *text, size_t size)
{
    wchar_t wide[MESSAGE_UNITS];
    text[0] = '\0';
    if (code == EBUSY) {
        strncat(text, "it is in use by a program", size - 1);
    } else if (code < SYSTEM_CODES) {
        (void)strerror_s(text, size, code);
    } else {
        DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                                 (DWORD)(code - SYSTEM_CODES), 0, wide, MESSAGE_UNITS, NULL);
        while (n > 0 && is_end_of_sentence(wide[n - 1]))
            n--;
        int length = WideCharToMultiByte(CP_UTF8, 0, wide, (int)n, text, (int)size - 1, NULL, NULL);
        text[length] = '\0';
    }
}

int plk_random_bytes(void *bytes, size_t n_bytes)
{
    unsigned char *to = bytes;
    while (n_bytes > 0) {
        size_t n = n_bytes < MOST_BYTES ? n_bytes : MOST_BYTES;
        if (BCryptGenRandom(NULL, to, (ULONG)n, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0)
            return EIO;
        to += n;
        n_bytes -= n;
    }
    return 0;
}

uint64_t plk_clock_ns(void)
{
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    uint64_t t = (uint64_t)ticks.QuadPart, second = (uint64_t)per_second.QuadPart;
    return t / second * 1000000000u + t % second * 1000000000u / second;
}

uint64_t plk_thread_cpu_ns(void)
{
    enum { NS_PER_TICK = 100 };
    FILETIME created, ended, kernel, user;
    if (!GetThreadTimes(GetCurrentThread(), &created, &ended, &kernel, &user))
        return 0;
    uint64_t low = (uint64_t)kernel.dwLowDateTime + user.dwLowDateTime;
    uint64_t high = (uint64_t)kernel.dwHighDateTime + user.dwHighDateTime;
    return ((high << 32) + low) * NS_PER_TICK;
}

void plk_sleep_ns(uint64_t ns)
{
    Sleep((DWORD)((ns + 999999) / 1000000));
}

/* A path as the system takes it. */
typedef struct wide_path {
    wchar_t text[PATH_UNITS];
} wide_path;

static int widen(wide_path *wide, const char *path)
{
    static const wchar_t prefix[] = L"\\\\?\\";
    enum { PREFIX_UNITS = sizeof prefix / sizeof *prefix - 1 };
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide->text, PATH_UNITS);
    if (n == 0)
        return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ENAMETOOLONG : EILSEQ;
    bool has_prefix = wide->text[0] == L'\\' && wide->text[1] == L'\\'; /* or is on a network */
    if (n < LONG_PATH_UNITS || has_prefix)
        return 0;
    wide_path full;
    DWORD length = GetFullPathNameW(wide->text, PATH_UNITS - PREFIX_UNITS, full.text, NULL);
    if (length == 0 || length >= PATH_UNITS - PREFIX_UNITS)
        return ENAMETOOLONG;
    memcpy(wide->text, prefix, sizeof prefix);
    memcpy(wide->text + PREFIX_UNITS, full.text, (length + 1) * sizeof *full.text);
    return 0;
}

static HANDLE handle_of(int descriptor)
{
    return (HANDLE)_get_osfhandle(descriptor);
}

static int open_handle(const char *path, DWORD access, DWORD creation, HANDLE *handle)
{
    wide_path wide;
    *handle = INVALID_HANDLE_VALUE;
    int code = widen(&wide, path);
    if (code != 0)
        return code;
    /* The flag opens directories too. */
    *handle = CreateFileW(wide.text, access, SHARED, NULL, creation,
                          FILE_ATTRIBUTE_NORMAL | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    return code_of(*handle != INVALID_HANDLE_VALUE);
}

/* Gives the handle to a descriptor, or closes it. */
static int describe(HANDLE handle, int *descriptor)
{
    *descriptor = _open_osfhandle((intptr_t)handle, _O_BINARY | _O_NOINHERIT);
    if (*descriptor >= 0)
        return 0;
    CloseHandle(handle);
    return EMFILE;
}

/* Only files on disks have numbers. A pipe or device is the same as itself while it is open. */
static int read_info(HANDLE handle, bool stays_open, plk_file_info *info)
{
    static _Atomic uint64_t n_told;
    BY_HANDLE_FILE_INFORMATION found;
    FILE_ID_INFO id;
    *info = (plk_file_info){
        .kind = PLK_FILE_CHARACTERS,
        .volume = UINT64_MAX,
        .number = {(uint64_t)(uintptr_t)handle, stays_open ? 0 : 1 + atomic_fetch_add(&n_told, 1)}};
    DWORD type = GetFileType(handle);
    if (type == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR)
        return code_of(FALSE);
    if (type == FILE_TYPE_PIPE)
        info->kind = PLK_FILE_PIPE;
    if (type != FILE_TYPE_DISK)
        return 0;
    info->kind = PLK_FILE_BLOCKS;
    if (!GetFileInformationByHandle(handle, &found))
        return 0;
    info->kind = (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? PLK_FILE_DIRECTORY
                                                                          : PLK_FILE_REGULAR;
    info->size_bytes = (uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow;
    info->volume = found.dwVolumeSerialNumber;
    info->number[0] = (uint64_t)found.nFileIndexHigh << 32 | found.nFileIndexLow;
    info->number[1] = 0;
    if (GetFileInformationByHandleEx(handle, FileIdInfo, &id, sizeof id)) {
        info->volume = id.VolumeSerialNumber;
        memcpy(info->number, &id.FileId, sizeof info->number);
    }
    return 0;
}

int plk_path_info(const char *path, plk_file_info *info)
{
    HANDLE handle = NULL;
    *info = (plk_file_info){.kind = PLK_FILE_CHARACTERS};
    int code = open_handle(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, &handle);
    if (code != 0)
        return code;
    code = read_info(handle, false, info);
    CloseHandle(handle);
    return code;
}

int plk_link_info(const char *path, plk_file_info *info)
{
    return plk_path_info(path, info);
}

int plk_descriptor_info(int descriptor, plk_file_info *info)
{
    return read_info(handle_of(descriptor), true, info);
}

bool plk_file_is_same(const plk_file_info *a, const plk_file_info *b)
{
    return a->volume == b->volume && a->number[0] == b->number[0] && a->number[1] == b->number[1];
}

int plk_link_read(const char *path, char *text, size_t size, size_t *n)
{
    (void)path;
    (void)text;
    (void)size;
    *n = 0;
    return ENOTSUP;
}

size_t plk_path_directory_bytes(const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] != '/' && path[n - 1] != '\\' && path[n - 1] != ':')
        n--;
    return n;
}

int plk_path_descriptor(const char *path)
{
    (void)path;
    return -1;
}

/* A new file can take the place of one that may be removed and is not read-only. Whether a
 * directory takes new files is told by the attempt only. */
int plk_path_check_writable(const char *path, bool is_directory)
{
    HANDLE handle = NULL;
    BY_HANDLE_FILE_INFORMATION found;
    int code =
        open_handle(path, is_directory ? FILE_READ_ATTRIBUTES : DELETE, OPEN_EXISTING, &handle);
    if (code != 0)
        return code;
    if (!is_directory && GetFileInformationByHandle(handle, &found) &&
        (found.dwFileAttributes & FILE_ATTRIBUTE_READONLY) != 0)
        code = EACCES;
    CloseHandle(handle);
    return code;
}

int plk_file_open(const char *path, plk_open_mode mode, int *descriptor)
{
    HANDLE handle = NULL;
    *descriptor = -1;
    int code = open_handle(path, mode == PLK_OPEN_READ ? GENERIC_READ : GENERIC_WRITE,
                           OPEN_EXISTING, &handle);
    return code != 0 ? code : describe(handle, descriptor);
}

FILE *plk_stream_open(const char *path)
{
    int descriptor = -1;
    errno = plk_file_open(path, PLK_OPEN_READ, &descriptor);
    if (errno != 0)
        return NULL;
    FILE *file = _fdopen(descriptor, "rb");
    if (!file)
        (void)plk_file_close(descriptor);
    return file;
}

int plk_file_create(const char *path, const plk_file_info *old, int *descriptor)
{
    HANDLE handle = NULL;
    (void)old;
    *descriptor = -1;
    int code = open_handle(path, GENERIC_WRITE, CREATE_NEW, &handle);
    return code != 0 ? code : describe(handle, descriptor);
}

int plk_file_keep_rights(int descriptor, const plk_file_info *old, const char **what)
{
    (void)descriptor;
    (void)old;
    *what = NULL;
    return 0;
}

int plk_file_duplicate(int descriptor, int *copy)
{
    HANDLE process = GetCurrentProcess(), handle = NULL;
    *copy = -1;
    if (!DuplicateHandle(process, handle_of(descriptor), process, &handle, 0, FALSE,
                         DUPLICATE_SAME_ACCESS))
        return code_of(FALSE);
    return describe(handle, copy);
}

static DWORD step_of(size_t n_bytes)
{
    return (DWORD)(n_bytes < MOST_BYTES ? n_bytes : MOST_BYTES);
}

int plk_file_read(int descriptor, void *bytes, size_t n_bytes, size_t *n_read)
{
    DWORD n = 0;
    BOOL is_done = ReadFile(handle_of(descriptor), bytes, step_of(n_bytes), &n, NULL);
    DWORD error = is_done ? NO_ERROR : GetLastError();
    *n_read = n;
    if (error == ERROR_BROKEN_PIPE || error == ERROR_HANDLE_EOF || error == ERROR_MORE_DATA)
        return 0;
    return is_done ? 0 : code_of_error(error);
}

int plk_file_read_at(int descriptor, uint64_t offset_bytes, void *bytes, size_t n_bytes,
                     size_t *n_read)
{
    HANDLE handle = handle_of(descriptor);
    LARGE_INTEGER stands = {.QuadPart = 0}, nowhere = {.QuadPart = 0};
    int code = code_of(SetFilePointerEx(handle, nowhere, &stands, FILE_CURRENT));
    *n_read = 0;
    while (*n_read < n_bytes && code == 0) {
        uint64_t at = offset_bytes + *n_read;
        OVERLAPPED where = {.Offset = (DWORD)at, .OffsetHigh = (DWORD)(at >> 32)};
        DWORD n = 0;
        if (!ReadFile(handle, (char *)bytes + *n_read, step_of(n_bytes - *n_read), &n, &where) &&
            GetLastError() != ERROR_HANDLE_EOF)
            code = code_of(FALSE);
        else if (n == 0)
            break;
        *n_read += n;
    }
    (void)SetFilePointerEx(handle, stands, NULL, FILE_BEGIN);
    return code;
}

int plk_file_write(int descriptor, const void *bytes, size_t n_bytes)
{
    const char *from = bytes;
    while (n_bytes > 0) {
        DWORD n = 0;
        if (!WriteFile(handle_of(descriptor), from, step_of(n_bytes), &n, NULL))
            return code_of(FALSE);
        if (n == 0)
            return ENOSPC;
        from += n;
        n_bytes -= n;
    }
    return 0;
}

int plk_file_seek(int descriptor, uint64_t offset_bytes)
{
    LARGE_INTEGER offset = {.QuadPart = (LONGLONG)offset_bytes};
    return code_of(SetFilePointerEx(handle_of(descriptor), offset, NULL, FILE_BEGIN));
}

int plk_file_sync(int descriptor)
{
    return code_of(FlushFileBuffers(handle_of(descriptor)));
}

int plk_file_close(int descriptor)
{
    return _close(descriptor) == 0 ? 0 : errno;
}

int plk_file_replace(const char *from, const char *to)
{
    wide_path wide_from, wide_to;
    int code = widen(&wide_from, from);
    if (code == 0)
        code = widen(&wide_to, to);
    if (code != 0)
        return code;
    code = code_of(MoveFileExW(wide_from.text, wide_to.text,
                               MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
    /* Windows refuses access to a file that is mapped. */
    return code == EACCES && plk_path_check_writable(to, false) == 0 ? EBUSY : code;
}

int plk_directory_sync(const char *directory)
{
    (void)directory;
    return 0;
}

int plk_file_remove(const char *path)
{
    wide_path wide;
    int code = widen(&wide, path);
    return code != 0 ? code : code_of(DeleteFileW(wide.text));
}

int plk_directory_create(const char *path)
{
    wide_path wide;
    int code = widen(&wide, path);
    return code != 0 ? code : code_of(CreateDirectoryW(wide.text, NULL));
}

int plk_map_open(plk_map *map, int descriptor, size_t size_bytes)
{
    *map = (plk_map){.bytes = NULL};
    HANDLE mapping = CreateFileMappingW(handle_of(descriptor), NULL, PAGE_READONLY, 0, 0, NULL);
    if (!mapping)
        return code_of(FALSE);
    void *bytes = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, size_bytes);
    int code = code_of(bytes != NULL);
    CloseHandle(mapping);
    if (code == 0)
        *map = (plk_map){bytes, size_bytes};
    return code;
}

void plk_map_drop(const plk_map *map, uint64_t offset_bytes, uint64_t n_bytes)
{
    if (offset_bytes >= map->size_bytes)
        return;
    uint64_t left = map->size_bytes - offset_bytes;
    /* Pages that are not locked leave the memory of the process; that the call fails says so. */
    (void)VirtualUnlock((void *)(uintptr_t)(map->bytes + offset_bytes),
                        (size_t)(n_bytes < left ? n_bytes : left));
}

void plk_map_close(plk_map *map)
{
    if (map->bytes)
        (void)UnmapViewOfFile(map->bytes);
    *map = (plk_map){.bytes = NULL};
}
