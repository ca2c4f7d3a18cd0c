#include "mpi/collective.h"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/clock.h"

namespace retort::mpi {
namespace {

// MPI counts in int, and a call in pieces needs no second copy of a large model.
constexpr size_t kPiece = size_t{1} << 24;
// So long a wait spins, as between the steps of a training; then it sleeps, as while rank 0 reads.
constexpr double kSpinSeconds = 2e-3;
constexpr std::chrono::microseconds kNap{500};

// An error of MPI ends all processes by its default handler, so results are not looked at.
template <class T>
void sum_of(std::span<T> values, MPI_Datatype type) {
  for (size_t at = 0; at < values.size(); at += kPiece) {
    const auto piece = values.subspan(at, std::min(kPiece, values.size() - at));
    MPI_Allreduce(MPI_IN_PLACE, piece.data(), static_cast<int>(piece.size()), type, MPI_SUM,
                  MPI_COMM_WORLD);
  }
}

void await(MPI_Request& request) {
  const double began_s = base::monotonic_seconds();
  int done = 0;
  while (true) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done != 0) return;
    if (base::monotonic_seconds() - began_s > kSpinSeconds) std::this_thread::sleep_for(kNap);
  }
}

}  // namespace

World::World(int& argc, char**& argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

World::~World() {
  MPI_Finalize();
}

// Every implementation adds an element up once and hands the sum out, or adds in an order that is
// the same everywhere; check_alike() in the training finds one that does not.
void World::sum(std::span<float> values) {
  sum_of(values, MPI_FLOAT);
}

void World::sum(std::span<double> values) {
  sum_of(values, MPI_DOUBLE);
}

void World::broadcast(std::span<std::byte> bytes) {
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    await(request);
  }
}

bool World::agree(const std::string& text) {
  std::string first = text;
  int64_t size = std::ssize(text);
  broadcast_value(size);
  first.resize(static_cast<size_t>(size));
  broadcast(std::as_writable_bytes(std::span(first)));
  double others = first == text ? 0 : 1;
  sum(std::span(&others, 1));
  return others == 0;
}

void World::end_all(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace retort::mpi
