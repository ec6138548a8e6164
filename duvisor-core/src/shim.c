/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "uapi/duvisor.h"

static const char *open_hint(int err)
{
	switch (err) {
	case ENOENT:
		return "; is the duvisor module loaded?";
	case EACCES:
	case EPERM:
		return "; you need permission to use it";
	case ENODEV:
	case ENXIO:
	case EOPNOTSUPP:
		return "; this processor has no Xdv extension";
	default:
		return "";
	}
}

int shim_open(struct shim *shim)
{
	struct duvisor_info info;
	int err;

	shim->fd = open(DUVISOR_DEVICE, O_RDWR | O_CLOEXEC);
	if (shim->fd < 0) {
		err = errno;
		log_error("cannot open %s: %s%s", DUVISOR_DEVICE, strerror(err), open_hint(err));
		return -err;
	}
	if (ioctl(shim->fd, DUVISOR_GET_INFO, &info)) {
		err = errno;
		log_error("%s: %s; it is not the duvisor module's", DUVISOR_DEVICE, strerror(err));
		shim_close(shim);
		return -err;
	}
	if (info.version != DUVISOR_ABI_VERSION) {
		log_error("the duvisor module speaks version %u of its interface, this program %d",
			  info.version, DUVISOR_ABI_VERSION);
		shim_close(shim);
		return -EPROTO;
	}
	shim->max_vcpus = info.max_vcpus;
	shim->features = info.features;
	return 0;
}

void shim_close(struct shim *shim)
{
	if (shim->fd >= 0)
		close(shim->fd);
	shim->fd = -1;
}

int shim_attach(const struct shim *shim, unsigned int index)
{
	struct duvisor_attach attach = {.index = index};

	_Static_assert(SHIM_NO_INDEX == DUVISOR_INDEX_NONE, "the same word for \"no index\"");
	return ioctl(shim->fd, DUVISOR_ATTACH, &attach) ? -errno : 0;
}

int shim_detach(const struct shim *shim)
{
	return ioctl(shim->fd, DUVISOR_DETACH) ? -errno : 0;
}
