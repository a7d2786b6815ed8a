#include "delegate.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "../unique_fd.h"
#include "plugin_error.h"

namespace overweft::cni {
namespace {

/// The executable in the directories of CNI_PATH, or empty.
std::string findInPath(std::string_view path, const std::string& type) {
  while (!path.empty()) {
    const size_t end = path.find(':');
    const std::string file = std::string(path.substr(0, end)) + "/" + type;
    if (access(file.c_str(), X_OK) == 0) return file;
    path = end == std::string_view::npos ? "" : path.substr(end + 1);
  }
  return "";
}

UniqueFd inMemory(const std::string& text) {
  UniqueFd fd(memfd_create("cni-config", MFD_CLOEXEC));
  const bool written = fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       lseek(fd.get(), 0, SEEK_SET) == 0;
  if (!written)
    throw PluginError{Code::IoFailure, "no input for the IPAM plugin can be made", errnoText(errno)};
  return fd;
}

std::string readToEnd(int fd) {
  std::string text;
  std::array<char, 16384> block;
  for (;;) {
    const ssize_t length = read(fd, block.data(), block.size());
    if (length > 0) text.append(block.data(), static_cast<size_t>(length));
    if (length == 0 || (length < 0 && errno != EINTR)) return text;
  }
}

/// Where a child's descriptors go.
class Redirections {
 public:
  Redirections() { posix_spawn_file_actions_init(&actions_); }
  Redirections(const Redirections&) = delete;
  Redirections& operator=(const Redirections&) = delete;
  ~Redirections() { posix_spawn_file_actions_destroy(&actions_); }

  void add(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::vector<char*> environmentWith(std::string& command) {
  constexpr std::string_view kName = "CNI_COMMAND=";
  std::vector<char*> list;
  for (char** entry = environ; *entry != nullptr; entry++) {
    if (!std::string_view(*entry).starts_with(kName)) list.push_back(*entry);
  }
  command.insert(0, kName);
  list.push_back(command.data());
  list.push_back(nullptr);
  return list;
}

bool waitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

[[noreturn]] void cannotRun(const Request& request, const std::string& reason) {
  throw PluginError{Code::InvalidConfig, "ipam.type: " + request.ipamType + " cannot be run", reason};
}

}  // namespace

Outcome runDelegate(const Request& request, const std::string& command) {
  std::string file = findInPath(request.path, request.ipamType);
  if (file.empty()) cannotRun(request, "no such executable in CNI_PATH, which is '" + request.path + "'");
  const UniqueFd input = inMemory(request.config);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) cannotRun(request, errnoText(errno));
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  Redirections redirections;
  redirections.add(input.get(), STDIN_FILENO);
  redirections.add(writing.get(), STDOUT_FILENO);
  std::string commandVariable = command;
  std::vector<char*> environment = environmentWith(commandVariable);
  std::array<char*, 2> arguments = {file.data(), nullptr};
  pid_t pid = 0;
  if (const int error = posix_spawn(&pid, file.c_str(), redirections.get(), nullptr, arguments.data(),
                                    environment.data())) {
    cannotRun(request, file + ": " + errnoText(error));
  }
  writing.reset();
  Outcome outcome{.succeeded = false, .output = readToEnd(reading.get())};
  outcome.succeeded = waitFor(pid);
  if (!outcome.succeeded && outcome.output.empty()) cannotRun(request, file + " failed and does not say why");
  return outcome;
}

}  // namespace overweft::cni
