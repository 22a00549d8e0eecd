#!/usr/bin/env bash
# Walks the lab's cluster through failovers and measures over the internet what clients notice: HAProxy stopped on the holder, the
# holder's instance killed, the Elastic IP moved by hand. Needs aws with credentials, terraform, curl, jq. Never run without an account of its own.
#
#   failover.sh            in deploy/terraform/examples/lab, after 'terraform apply'; shell_access must be on
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
readonly here patience=${PATIENCE:-300}
for tool in aws curl jq terraform; do
  command -v "$tool" >/dev/null || { echo "failover.sh needs $tool" >&2; exit 2; }
done

cd "$here/.."
AWS_REGION=$(terraform output -raw region)
export AWS_REGION AWS_PAGER=
ip=$(terraform output -raw public_ip)
address=$(terraform output -raw allocation_id)
nodes=$(terraform output -json nodes)
if [[ $nodes == '{}' ]]; then
  echo "these nodes were found by their tag, and failover.sh knows nodes by their interfaces: set discovery = false" >&2
  exit 2
fi
work=$(mktemp -d)
readonly ip address nodes work

interface_of() { jq -r --arg node "$1" '.[$node].interface_id' <<<"$nodes"; }
node_at() { jq -r --arg eni "$1" 'to_entries[] | select(.value.interface_id == $eni) | .key' <<<"$nodes"; }
candidates() { jq -r 'to_entries[] | select(.value.witness | not) | .key' <<<"$nodes"; }

# instance_of NODE: by its interface, because an Auto Scaling group may have replaced it.
instance_of() {
  aws ec2 describe-network-interfaces --network-interface-ids "$(interface_of "$1")" \
    --query 'NetworkInterfaces[0].Attachment.InstanceId' --output text
}

association() { aws ec2 describe-addresses --allocation-ids "$address" --query 'Addresses[0].AssociationId' --output text; }
holder() { node_at "$(aws ec2 describe-addresses --allocation-ids "$address" --query 'Addresses[0].NetworkInterfaceId' --output text)"; }
held() { [[ -n $(holder) ]]; }
serves() { curl -fsS -o /dev/null --max-time 2 "http://$ip/"; }

# until_true WHAT CONDITION...: waits for it, at most $patience seconds.
until_true() {
  local what=$1 end=$((SECONDS + patience))
  shift
  until "$@" 2>/dev/null; do
    [[ $SECONDS -lt $end ]] || { echo "waited $patience s in vain: $what" >&2; return 1; }
    sleep 1
  done
}

# on NODE COMMAND: runs it there as root by Run Command and prints what it prints.
on() {
  local instance command
  instance=$(instance_of "$1")
  command=$(aws ssm send-command --instance-ids "$instance" --document-name AWS-RunShellScript \
    --parameters "$(jq -n --arg c "$2" '{commands: [$c]}')" --query Command.CommandId --output text)
  aws ssm wait command-executed --command-id "$command" --instance-id "$instance" 2>/dev/null || true
  aws ssm get-command-invocation --command-id "$command" --instance-id "$instance" --query StandardOutputContent --output text
}

probe() { # ten times a second, a new connection each time
  while :; do
    if curl -fsS -o /dev/null --max-time 1 "http://$ip/" 2>/dev/null; then echo "$EPOCHREALTIME ok"; else echo "$EPOCHREALTIME no"; fi
    sleep 0.1
  done >>"$work/probes"
}

scratch_address='' scratch_interfaces=()
clean_up() {
  [[ -z ${prober:-} ]] || kill "$prober" 2>/dev/null || true
  if [[ -n $scratch_address ]]; then
    local id
    id=$(aws ec2 describe-addresses --allocation-ids "$scratch_address" --query 'Addresses[0].AssociationId' --output text || true)
    [[ -z $id || $id == None ]] || aws ec2 disassociate-address --association-id "$id" || true
    aws ec2 release-address --allocation-id "$scratch_address" || echo "release $scratch_address by hand" >&2
  fi
  for eni in "${scratch_interfaces[@]}"; do
    aws ec2 delete-network-interface --network-interface-id "$eni" || echo "delete $eni by hand" >&2
  done
  rm -rf "$work"
}
trap clean_up EXIT

# The facts, with an address and two interfaces of their own, so that no agent repairs what is tried.
facts() {
  local subnet
  subnet=$(jq -r '[.[] | .subnet_id][0]' <<<"$nodes")
  scratch_address=$(aws ec2 allocate-address --domain vpc --query AllocationId --output text)
  for _ in 1 2; do
    scratch_interfaces+=("$(aws ec2 create-network-interface --subnet-id "$subnet" --description "hacluster lab: facts" \
      --query NetworkInterface.NetworkInterfaceId --output text)")
  done
  "$here/facts.sh" "$scratch_address" "${scratch_interfaces[@]}"
}

# A stale id under the role of a node: its policy is by resource, and a stale id has none any more.
stale_id_as_node() { # stale_id_as_node STALE_ID
  local said
  said=$(on "$(holder)" "aws ec2 disassociate-address --region $AWS_REGION --dry-run --association-id $1 2>&1; true")
  echo "a node asks to end the stale $1: $said"
  if [[ $said == *UnauthorizedOperation* ]]; then
    echo "NOT AS ASSUMED: EC2 denies a stale id instead of not finding it; a takeover that meets one would stop there (docs/AWS.md)" >&2
    return 1
  fi
}

moved_from() { [[ $(holder) != "$1" && -n $(holder) ]] && serves; }
settled_after() { [[ $(association) != "$1" && $(association) != None && -n $(holder) ]] && serves; }

# measure WHAT START: one line of the result, ten seconds after things have settled.
measure() {
  sleep 10
  local seconds failed
  read -r seconds failed < <(awk -v start="$2" -f "$here/gap.awk" "$work/probes")
  printf '%-32s holder now %-8s  longest gap %6s s  requests lost %d\n' "$1" "$(holder)" "$seconds" "$failed" | tee -a "$work/results"
}

stop_haproxy() {
  local was start
  was=$(holder) start=$EPOCHREALTIME
  on "$was" "systemctl stop haproxy" >/dev/null
  until_true "another node holds the address" moved_from "$was"
  measure "HAProxy stopped on $was" "$start"
  on "$was" "systemctl start haproxy" >/dev/null
  sleep 10
}

kill_instance() {
  local was instance start
  was=$(holder) instance=$(instance_of "$(holder)") start=$EPOCHREALTIME
  if [[ $(jq -r --arg node "$was" '.[$node].instance_id' <<<"$nodes") == null ]]; then
    aws ec2 terminate-instances --instance-ids "$instance" >/dev/null # its group makes another one
  else
    aws ec2 stop-instances --force --instance-ids "$instance" >/dev/null
  fi
  until_true "another node holds the address" moved_from "$was"
  measure "instance of $was killed" "$start"
  if [[ $(jq -r --arg node "$was" '.[$node].instance_id' <<<"$nodes") != null ]]; then
    aws ec2 wait instance-stopped --instance-ids "$instance"
    aws ec2 start-instances --instance-ids "$instance" >/dev/null
    aws ec2 wait instance-status-ok --instance-ids "$instance"
  fi
}

move_by_hand() {
  local was other start moved
  was=$(holder) start=$EPOCHREALTIME
  other=$(candidates | grep -vx "$was" | head -n 1)
  moved=$(aws ec2 associate-address --allocation-id "$address" --network-interface-id "$(interface_of "$other")" --allow-reassociation \
    --query AssociationId --output text)
  until_true "the move by hand is answered" settled_after "$moved"
  measure "moved by hand from $was to $other" "$start"
}

until_true "the lab serves" serves
until_true "a node holds the address" held
facts
probe &
prober=$!
sleep 3
stale=$(association)
stop_haproxy
stale_id_as_node "$stale"
kill_instance
move_by_hand
echo
cat "$work/results"
