#!/bin/sh
# Process 1 of namespaces of its own: systemd with the gateway's unit alone, as docs/operations.md
# sets it up. Nothing is written outside: /etc and /var lie under a layer that goes with it.
#   boot_systemd.sh CONFIGURATION UNIT PYTHON SITE SOURCE
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/systemd/system /run/layer
for place in etc var; do
    mkdir "/run/layer/$place" "/run/layer/$place.work"
    mount -t overlay overlay \
        -o "lowerdir=/$place,upperdir=/run/layer/$place,workdir=/run/layer/$place.work" "/$place"
done
rm -rf /var/log/journal
cp -r "$1" /etc/edgewise
chmod -R a+rX /etc/edgewise
cp "$2" /etc/systemd/system/edgewise-gateway.service

# The unit sees neither /home nor /root, where this interpreter may lie.
mount -t tmpfs tmpfs /opt
mkdir /opt/python /opt/site /opt/source
mount --bind "$3" /opt/python
mount --bind "$4" /opt/site
mount --bind "$5" /opt/source
mount -t tmpfs tmpfs /tmp
/opt/python/bin/python3 -m venv --without-pip /opt/edgewise
printf '/opt/site\n/opt/source\n' > "$(echo /opt/edgewise/lib/python3.*/site-packages)/here.pth"
printf '#!/opt/edgewise/bin/python\nfrom edgewise.__main__ import main\nraise SystemExit(main())\n' \
    > /opt/edgewise/bin/edgewise
chmod +x /opt/edgewise/bin/edgewise

mkdir /etc/systemd/system/edgewise-gateway.service.d
printf '[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n' \
    > /etc/systemd/system/edgewise-gateway.service.d/interpreter.conf
cat > /etc/systemd/system/only.target <<'UNIT'
[Unit]
Requires=systemd-journald.service edgewise-gateway.service
UNIT
ip link set lo up
exec /usr/lib/systemd/systemd --system --unit=only.target
