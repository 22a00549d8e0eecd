package metrics

// The names of the EC2 API's actions.
const (
	apiDescribe     = "DescribeAddresses"
	apiAssociate    = "AssociateAddress"
	apiDisassociate = "DisassociateAddress"
)

func callFamilies() []family {
	return []family{
		{nameEC2Reachable, gauge, nil, "1 if this node reaches the EC2 API. Absent on a witness.", func(s *snapshot, put put) {
			if s.ec2 != nil {
				put(truth(s.view.EC2))
			}
		}},
		{nameCalls, counter, []string{labelAPI, labelClass}, "Calls to EC2 by what may be concluded from their outcome (docs/EC2.md); the dry runs at the start are not counted.", nil},
		{nameCallTime, histogram, []string{labelAPI}, "How long a call took that was sent, in seconds.", nil},
		{nameCallsRefused, counter, []string{labelReason}, "Calls that the final check kept in, by reason: not_leading, not_granted, unhealthy, no_evidence. Each would have been late.", nil},
	}
}

func warmFamilies() []family {
	return []family{
		{nameSpare, gauge, nil, "1 if a connection to EC2 is ready for the next call. Absent on a witness.", func(s *snapshot, put put) {
			if s.ec2 != nil {
				put(truth(!s.ec2.ConnectedSince.IsZero()))
			}
		}},
		{nameSparesOpened, counter, nil, "Such connections that were opened.", func(s *snapshot, put put) {
			if s.ec2 != nil {
				put(float64(s.ec2.Opened))
			}
		}},
		{nameSparesTaken, counter, nil, "Such connections that carried a call.", func(s *snapshot, put put) {
			if s.ec2 != nil {
				put(float64(s.ec2.Taken))
			}
		}},
		{nameCredentials, gauge, nil, "When the AWS credentials end, in seconds since 1970, as the SDK sees it: early. Absent if they do not end.",
			func(s *snapshot, put put) {
				if s.ec2 != nil && !s.ec2.CredentialsExpire.IsZero() {
					put(unix(s.ec2.CredentialsExpire))
				}
			}},
		{nameCredentialError, gauge, nil, "1 if the last fetch of AWS credentials failed.", func(s *snapshot, put put) {
			if s.ec2 != nil {
				put(truth(s.ec2.CredentialsErr != nil))
			}
		}},
	}
}
