package doctor

// The names of the checks, which docs/DOCTOR.md has sections for.
const (
	checkConfig       = "config"
	checkAgent        = "agent"
	checkPort         = "port"
	checkCapability   = "capability"
	checkDataDir      = "data-dir"
	checkCPU          = "cpu"
	checkIMDS         = "imds"
	checkCredentials  = "credentials"
	checkEC2          = "ec2"
	checkWayOut       = "way-out"
	checkClock        = "clock"
	checkAddress      = "address"
	checkInterface    = "interface"
	checkOtherAddress = "other-address"
	checkIAM          = "iam"
	checkDiscovery    = "discovery"
	checkCertificate  = "certificate"
	checkPeers        = "peers"
	checkTiming       = "timing"
	checkVRRP         = "vrrp"
	checkHAProxy      = "haproxy"
	checkMasterWorker = "master-worker"
)

// checks are all checks, in the order in which they are shown: from this machine outwards, and HAProxy last.
func (f *facts) checks() []check {
	return []check{
		{checkConfig, f.examineConfig},
		{checkAgent, f.examineAgent},
		{checkPort, one(f.examinePort)},
		{checkCapability, one(f.examineCapability)},
		{checkDataDir, f.examineDataDir},
		{checkCPU, one(f.examineCPU)},
		{checkIMDS, f.candidate(one(f.examineIMDS))},
		{checkCredentials, f.candidate(one(f.examineCredentials))},
		{checkEC2, f.candidate(one(f.examineEC2))},
		{checkWayOut, f.candidate(one(f.examineWayOut))},
		{checkClock, f.candidate(one(f.examineClock))},
		{checkAddress, f.candidate(f.examineAddresses)},
		{checkInterface, f.candidate(f.examineInterface)},
		{checkOtherAddress, f.candidate(one(f.examineOtherAddress))},
		{checkIAM, f.candidate(f.examineIAM)},
		{checkDiscovery, f.examineDiscovery},
		{checkCertificate, one(f.examineCertificate)},
		{checkPeers, f.examinePeers},
		{checkTiming, f.examineTiming},
		{checkVRRP, f.examineVRRP},
		{checkHAProxy, f.candidate(f.examineHAProxy)},
		{checkMasterWorker, f.candidate(one(f.examineMasterWorker))},
	}
}
