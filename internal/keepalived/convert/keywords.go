package convert

import "github.com/hacluster/hacluster/internal/keepalived"

// scope is the block that a keyword stands in.
type scope string

const (
	scopeTop      scope = "the file"
	scopeGlobal   scope = "global_defs"
	scopeInstance scope = "vrrp_instance"
	scopeGroup    scope = "vrrp_sync_group"
	scopeScript   scope = "vrrp_script"
	scopeProcess  scope = "vrrp_track_process"
)

// sortOut reports a statement that no key of hacluster.yaml is made from.
func (c *converter) sortOut(in scope, s *keepalived.Statement) {
	what := s.String()
	if s.HasBlock {
		what += " { }"
	}
	if why := refusal(s.Keyword()); why != "" {
		c.report.refused(s.At, what, why)
		return
	}
	why := needless(s.Keyword())
	if why == "" {
		why = "not a keyword of " + string(in) + " that is known here; keepalived -t says whether it is one of its own"
	}
	c.report.dropped(s.At, what, why)
}

// refusal says why a keyword stops a conversion, or is empty. What these keywords do would silently be missing.
func refusal(keyword string) string {
	switch keyword {
	case "virtual_server", "virtual_server_group", "lvs_sync_daemon", "lvs_sync_daemon_interface", "SSL", "real_server":
		return "this is the load balancer of the kernel (LVS). hacluster moves an Elastic IP between HAProxy nodes and balances nothing: " +
			"let HAProxy do it, or keep keepalived for this part, in a file without the vrrp_instance"
	case "use_vmac", "use_ipvlan", "use_vmac_addr":
		return "an Elastic IP has no MAC address, and EC2 drops frames with a foreign one: remove the line; HAProxy binds the node's own private address"
	case "virtual_routes", "virtual_rules":
		return "hacluster moves no routes: let a hook set them (notify_master, notify_backup), or the host's network configuration, and remove the block"
	case "static_ipaddress", "static_routes", "static_rules":
		return "hacluster configures no interface: move this to the host's network configuration (netplan, systemd-networkd), and remove the block"
	}
	return ""
}

// needless says why a keyword has no counterpart, or is empty for an unknown one.
func needless(keyword string) string {
	switch keyword {
	case "notification_email", "notification_email_from", "smtp_server", "smtp_helo_name", "smtp_connect_timeout", "smtp_alert",
		"smtp_alert_vrrp", "smtp_alert_checker", "no_email_faults", "no_checker_emails":
		return "hacluster sends no mail; a hook can (notify)"
	case "vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_master_refresh", "vrrp_garp_master_refresh_repeat",
		"vrrp_garp_lower_prio_delay", "vrrp_garp_lower_prio_repeat", "vrrp_garp_interval", "vrrp_gna_interval", "vrrp_min_garp",
		"vrrp_garp_extra_if", "vrrp_vmac_garp_intvl", "garp_master_delay", "garp_master_repeat", "garp_master_refresh",
		"garp_master_refresh_repeat", "garp_lower_prio_delay", "garp_lower_prio_repeat", "garp_extra_if", "vmac_garp_intvl", "garp_group":
		return "no ARP is needed: EC2 maps an Elastic IP"
	case "vrrp_priority", "vrrp_rt_priority", "vrrp_no_swap", "vrrp_cpu_affinity", "vrrp_rlimit_rttime", "vrrp_rlimit_rtime",
		"max_auto_priority", "min_auto_priority_delay", "checker_priority", "checker_rt_priority", "checker_no_swap", "bfd_priority",
		"bfd_rt_priority", "bfd_no_swap", "vrrp_startup_delay", "vrrp_delay_after_boot", "child_wait_time", "process_names", "process_name",
		"vrrp_process_name", "checker_process_name", "lvs_process_name", "bfd_process_name", "use_pid_dir", "instance", "umask", "random_seed",
		"kernel_rx_buf_size", "vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier", "vrrp_netlink_cmd_rcv_bufs", "vrrp_netlink_monitor_rcv_bufs",
		"process_monitor_rcv_bufs", "reload_check_config", "reload_time_file", "reload_repeat", "reload_file", "include_check", "config_save_dir",
		"tmp_config_directory", "data_use_instance", "json_version", "state_dump_file", "stats_dump_file", "json_dump_file", "debug",
		"dynamic_interfaces", "log_unknown_vrids", "use_symlink_paths", "set_supplementary_groups":
		return "a setting of keepalived's own processes"
	}
	return needlessOnWire(keyword)
}

func needlessOnWire(keyword string) string {
	switch keyword {
	case "vrrp_mcast_group4", "vrrp_mcast_group6", "mcast_dst_ip", "disable_local_igmp":
		return "EC2 carries no multicast; adverts are unicast"
	case "vrrp_skip_check_adv_addr", "skip_check_adv_addr", "vrrp_strict", "strict_mode", "accept", "no_accept", "vrrp_iptables", "vrrp_ipsets", "nftables",
		"nftables_priority", "nftables_ifindex", "nftables_counters", "no_virtual_ipaddress", "promote_secondaries", "track_src_ip":
		return "it is about virtual addresses on an interface; hacluster has none"
	case "vrrp_lower_prio_no_advert", "lower_prio_no_advert", "vrrp_higher_prio_send_advert", "higher_prio_send_advert", "vrrp_owner_ignore_adverts",
		"owner_ignore_adverts", "down_timer_adverts", "vrrp_down_timer_adverts", "old_unicast_checksum", "unicast_fault_no_peer", "timer_expired_backup",
		"thread_timer_expired", "unicast_ttl", "dont_track_primary", "native_ipv6", "vmac_xmit_base", "default_interface", "vrf":
		return "Raft decides who is Master, not packets; adverts go out as keepalived's defaults have them"
	case "script_user", "user", "enable_script_security":
		return "checks and hooks run as the agent's user, and hooks with unsafe permissions are always refused"
	case "notify_fifo", "notify_fifo_script", "vrrp_notify_fifo", "vrrp_notify_fifo_script", "lvs_notify_fifo", "lvs_notify_fifo_script",
		"vrrp_notify_priority_changes", "notify_priority_changes", "fifo_write_vrrp_states_on_reload", "startup_script", "shutdown_script",
		"startup_script_timeout", "shutdown_script_timeout":
		return "hacluster tells of changes by hooks, in order and one at a time: use notify"
	case "enable_traps", "snmp_socket", "enable_snmp_vrrp", "enable_snmp_keepalived", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3",
		"enable_snmp_checker", "enable_dbus", "dbus_service_name", "dbus_no_interface_name":
		return "hacluster has no SNMP and no D-Bus; 'hacluster status' knows the state"
	case "bfd_instance", "track_bfd", "linkbeat_interfaces", "linkbeat_use_polling", "interface_up_down_delays", "track_group":
		return "a node that is cut off loses the quorum, and Raft notices that"
	case "net_namespace", "net_namespace_ipvs", "namespace_with_ipsets":
		return "start the agent in that namespace: 'NetworkNamespacePath=' in its systemd unit"
	case "lvs_timeouts", "lvs_flush", "lvs_flush_on_stop", "lvs_flush_onstop", "nftables_ipvs", "rs_init_notifies", "checker_log_all_failures":
		return "it is about LVS"
	case "global_tracking", "sync_group_tracking_weight", "init_fail":
		return "a node holds the address only after its checks have passed, and without weights"
	}
	return ""
}
