"""Korean: the nine questions and what is often claimed, key by key as in english_answers."""

from __future__ import annotations

ANSWERS: dict[str, str] = {
    "report.questions": "물음과, 이 실행으로 얻은 답",
    "question.losses": "MSE와 교차 엔트로피는 왜 수렴 속도가 다른가?",
    "question.mixed_losses": "혼합 정밀도에서 각 손실 함수는 얼마나 안정적인가?",
    "question.large_batches": "배치가 크면 기울기가 소실되는가?",
    "question.dead_units": "죽은 ReLU는 학습률, 깊이, 정밀도, 장치에 따라 어떻게 달라지는가?",
    "question.mixed_activations": "혼합 정밀도는 각 활성화 함수에 어떤 영향을 주는가?",
    "question.distributions": "활성값의 분포를 어떻게 일정한 메모리로 모으는가?",
    "question.scaling": "각 옵티마이저는 장치에서 복제본과 배치에 따라 어떻게 확장되는가?",
    "question.clipping": "혼합 정밀도에서 기울기 클리핑은 언제 필요한가?",
    "question.rate_by_batch": "학습률은 배치에 따라 어떻게 바뀌어야 하는가?",
    "answer.unmeasured": "이 실행에서는 측정하지 않았다: {missing}.",
    "missing.losses": "손실 함수를 달리하고 층을 측정한 연구가 필요하다",
    "missing.mixed_losses": "손실 함수와 정밀도를 함께 달리한 연구가 필요하다",
    "missing.large_batches": "배치 크기를 달리하고 층을 측정한 연구가 필요하다",
    "missing.dead_units": "ReLU를 여러 학습률로 학습하고 층을 측정한 연구가 필요하다",
    "missing.mixed_activations": "활성화 함수와 정밀도를 함께 달리한 연구가 필요하다",
    "missing.distributions": "활성값의 히스토그램이 남아 있지 않다",
    "missing.scaling": "프로그램의 시간이, 또는 어느 복제본이 어느 프로그램의 것인지가 남아 있지 않다",
    "missing.clipping": "정밀도와 기울기 클리핑을 함께 달리한 연구가 필요하다",
    "missing.rate_by_batch": "배치 크기와 학습률을 함께 달리한 연구가 필요하다",
    "answer.where": "{title}, {where}",
    "answer.corrected": "{p} (이 답의 차이 {family}개에 대해 보정)",
    "answer.other_failed": "비교 대상 쪽의 실행이 발산했다",
    "answer.losses_why": "클래스 C개에 대한 확률 p와 레이블 y의 소프트맥스에서, 교차 엔트로피의 로짓에 대한 "
    "기울기는 p - y이다. 확률에 대한 평균 제곱오차의 기울기는 2/C 곱하기 p 곱하기 그런 오차들의 차이이다. 2/C만큼 "
    "작은 것은 학습률을 키우면 메워지지만, p만큼 작은 것은 그렇지 않다. 신경망이 틀린 답을 확신하면 정답 클래스의 "
    "p가 0에 가깝고 기울기도 그렇다. 측정 결과는 다음과 같다.",
    "answer.losses": "{where}: 첫 스텝 전 마지막 층의 기울기는 {larger} 쪽이 {smaller} 쪽의 {ratio}배이고(시드 "
    "중앙값), {smaller}의 최적 학습률은 {larger}의 {rates}배이다. 최적 학습률에서 목표까지 걸린 스텝은 {larger} "
    "{steps_larger}, {smaller} {steps_smaller}이다(중앙값).",
    "answer.precision.above": "{where}, {name}, {precision}: float32보다 높다, 차이 {difference}%p({n}, p {p}).",
    "answer.precision.below": "{where}, {name}, {precision}: float32보다 낮다, 차이 {difference}%p({n}, p {p}).",
    "answer.precision.none": "{where}, {name}, {precision}: float32와의 차이를 보이지 못했다, {difference}%p({n}, "
    "p {p}).",
    "answer.precision.few": "{where}, {name}, {precision}: float32와의 차이 {difference}%p, 시드가 적어 신뢰구간은 "
    "없다({n}).",
    "answer.precision.failed": "{where}, {name}, {precision}: 발산한 실행이 있어 float32와의 평균 차이가 "
    "없다({failures}).",
    "answer.precision_note": "차이는 시드별로 짝지었고 정밀도마다 각자의 학습률(여럿을 시험한 곳에서는 가장 좋은 "
    "것, 그 밖에는 미리 정한 것)에서 구했다. 대괄호는 각 차이만의 95% 신뢰구간이다. 차이를 보였는지는 홀름 "
    "방법으로, 연구의 주장에 드는 차이라면 그 주장 전체에 대해 보정한 p에 따른다.",
    "answer.batches_stay": "{where}: 아니다. 각 배치 크기({sizes})의 최적 학습률에서, 실패한 실행이 없는 설정 "
    "{count}개에서 마지막 에폭 후 첫 층의 기울기 노름은 마지막 층의 {low}~{high}배이다. {threshold:g}배보다 작으면 "
    "소실된 것으로 본다.",
    "answer.batches_vanish": "{where}: 그렇다. 실패한 실행이 없는 설정 {count}개 중 {k}개(배치 크기 {sizes})에서 "
    "마지막 에폭 후 첫 층의 기울기 노름이 마지막 층의 {threshold:g}배보다 작다({count}개 전체로는 {low}~{high}배).",
    "answer.batches_probe": "기울기는 모든 배치 크기에서 같은 진단 표본으로 구한다. 따라서 차이는 배치의 잡음이 "
    "아니라 학습된 신경망의 차이이며, 처음에는 모두 같다.",
    "answer.dead": "{where}, 학습률에 따라: 은닉 유닛 가운데 죽은 것은 첫 스텝 전 {first}, 최적 "
    "학습률({best_rate:g})에서 마지막 에폭 후 {best}, 가장 많을 때 {worst}(학습률 {worst_rate:g})이다. 시드 평균.",
    "answer.dead_lost": "설정 {count}개 중 {k}개에서는 발산한 실행이 있어 비율이 없다.",
    "answer.dead_by": "{factor}에 따라, 각자의 최적 학습률에서: {levels}.",
    "answer.dead_level": "{where}, {level}: {share} (n = {n})",
    "answer.dead_not_varied": "{factor}에 따라: 이 실행에서는 측정하지 않았다. 죽은 유닛을 측정한 연구마다 ReLU를 한 가지 "
    "값({values})으로만 학습했다. 격자에 여러 값을 넣은 연구(예: {example})를 실행하면 알 수 있다.",
    "answer.dead_by_place": "죽은 유닛이 네트워크의 어느 깊이에 있는지는 아래의 층별 표에 있다.",
    "answer.dead_device": "장치에 따라: 측정하지 않았다. 이 보고서의 모든 실행은 한 종류의 장치({device})에서 했다.",
    "answer.dead_no_device": "장치에 따라: 측정하지 않았다.",
    "answer.dead_layers": "마지막 에폭 후 층별 죽은 유닛, 최적 학습률과 발산한 실행이 없는 가장 높은 학습률에서",
    "answer.dead_rows": "모든 학습률 ({count}행)",
    "answer.distributions": "진단 표본에 대한 각 층의 활성값은 컴파일된 프로그램 안에서 고정된 구간별로 세고, "
    "범위를 벗어난 것은 아래와 위로 나누어 센다. 표본이 아무리 많아도 한 층에서 남는 것은 그만큼의 개수뿐이며, "
    "다음 배치는 같은 개수에 더하면 된다. 이 실행이 남긴 것으로 계산한 값, 복제본과 스냅숏당 KiB(활성화 전후의 값, "
    "수 하나에 4바이트):",
    "answer.scaling_batch": "{where}, {name}: 배치 {low}에서 {high}까지, 스텝당 표본이 {times}배가 될 때 초당 "
    "표본은 {faster}배가 된다(각각 한 번 잰 값, 학습 {seconds}초).",
    "answer.scaling_no_batch": "배치 크기에 따라: 이 실행에서는 나머지가 같은 프로그램들의 크기가 하나뿐이어서 "
    "측정하지 않았다.",
    "answer.scaling_replicas": "복제본에 따라: 따로 바꾸어 보지 않았다. 아래 프로그램들의 한 타일에는 복제본이 "
    "{counts}개씩 나란히 있다. 그 수를 바꾸어 재는 것은 벤치마크(python -m benchmarks)이다.",
    "answer.scaling_replicas_unknown": "복제본에 따라: 측정하지 않았다. 몇 개가 나란히 학습했는지 기록되어 있지 않다.",
    "answer.scaling_remat": "{name}: 활성값을 다시 계산하면 프로그램의 임시 메모리는 원래의 {bytes}배, 속도는 "
    "{speed}배가 된다(각각 한 번 잰 값, 학습 {seconds}초).",
    "answer.clip.above": "학습률 {rate}에서는 나아진다, {difference}%p({n}, p {p})",
    "answer.clip.below": "학습률 {rate}에서는 나빠진다, {difference}%p({n}, p {p})",
    "answer.clip.none": "학습률 {rate}에서는 차이를 보이지 못했다, {difference}%p({n}, p {p})",
    "answer.clip.few": "학습률 {rate}에서 테스트 정확도의 차이는 {difference}%p이며, 시드가 적어 신뢰구간은 없다({n})",
    "answer.clip.failed": "학습률 {rate}에서는 발산한 실행이 있어 평균 차이가 없다({n})",
    "answer.rate": "{name}: 최적 학습률은 {rates}이며, 배치 크기 {count}가지에 걸쳐 배치 크기의 {slope}제곱으로 "
    "커진다(1이면 선형 규칙, 0.5이면 제곱근 규칙, 0이면 변화 없음).",
    "answer.rate_at": "{rate} (배치 {batch})",
    "answer.rate_edges": "크기 {count}가지 중 {k}가지에서 최적 학습률이 격자의 끝에 있으므로 지수는 확실하지 않다.",
    "answer.rate_note": "학습률은 실제로 쓰인 값이다. 규칙이 배치에 따라 학습률을 조정한 경우에는 조정된 값이다. "
    "학습률은 격자 위에 있으므로 지수는 격자보다 세밀할 수 없다. 모든 배치 크기를 같은 에폭 수만큼 학습하므로 "
    "배치가 크면 스텝 수가 적다.",
    "answer.batches_stay_set": "{where}: 아니다. 배치 크기({sizes})마다 미리 정한 학습률에서, 실패한 실행이 없는 "
    "설정 {count}개에서 마지막 에폭 후 첫 층의 기울기 노름은 마지막 층의 {low}~{high}배이다. {threshold:g}배보다 "
    "작으면 소실된 것으로 본다.",
    "answer.batches_unknown": "{where}: 알 수 없다. 모든 실행이 학습한 설정이 없다.",
    "answer.batches_left": "설정 {count}개 중 {k}개는 실패한 실행이 있어 뺐다. 거기서 드러나는 것은 배치 크기보다 "
    "지나치게 높은 학습률이다. 뺀 것: {names}.",
    "answer.losses_set": "{where}: 첫 스텝 전 마지막 층의 기울기는 {larger} 쪽이 {smaller} 쪽의 {ratio}배이고(시드 "
    "중앙값), {smaller}에 미리 정한 학습률은 {larger}의 {rates}배이다. 이 학습률에서 목표까지 걸린 스텝은 {larger} "
    "{steps_larger}, {smaller} {steps_smaller}이다(중앙값).",
    "answer.clip_failed_runs": "{told}. 이때 클리핑이 없으면 {n}개 중 {k}개, 있으면 {n_clipped}개 중 "
    "{k_clipped}개가 실패한다",
    "answer.clipping_above": "{where}, {name}: {clip}에서 클리핑하면 도움이 된다. {told}.",
    "answer.clipping_below": "{where}, {name}: {clip}에서 클리핑하면 해가 된다. {told}.",
    "answer.clipping_none": "{where}, {name}: {clip}에서 클리핑할 필요도 해도 보이지 못했다. {told}.",
    "answer.clipping_note": "학습률마다 따로, 클리핑한 것에서 하지 않은 것을 뺀 테스트 정확도를 시드별로 판단한다. "
    "우연 수준에 머문 실행은 그 정확도 그대로 센다. 대괄호는 각 차이만의 95% 신뢰구간이고, 차이를 보였는지는 홀름 "
    "방법으로 보정한 p에 따른다.",
    "answer.rate_unmeasured": "이 실행에서는 측정하지 않았다. 배치 크기마다 미리 정하거나 규칙으로 만든 학습률 "
    "하나로만 학습했으므로 최적 학습률을 찾지 않았다. 배치 크기마다 여러 학습률을 시험하고 검증으로 골라야 "
    "한다(연구의 격자에 batch_size와 함께 세 값 이상의 learning_rate, 역할은 nuisance). 측정한 것은 같은 "
    "수의 표본을 보았을 때 각 크기가 이른 테스트 정확도이다.",
    "answer.equal_examples": "{name}: {told} (n = {n}).",
    "answer.accuracy_at": "배치 {batch}에서 {accuracy}",
    "answer.scaling_batch_short": "{where}, {name}: 배치 {low}에서 {high}까지, 스텝당 표본 {times}배: 너무 짧아 "
    "속도를 말할 수 없다(각각 한 번 잰 값, 학습 {seconds}초).",
    "answer.scaling_remat_short": "{name}: 활성값을 다시 계산하면 프로그램의 임시 메모리는 원래의 {bytes}배가 "
    "된다. 너무 짧아 속도는 말할 수 없다(학습 {seconds}초).",
    "claimed.speed_short": "프로그램 {count}쌍은 너무 짧아 말할 수 없음(학습 {seconds}초)",
    "answer.dead_set": "{where}, 학습률에 따라: 은닉 유닛 가운데 죽은 것은 첫 스텝 전 {first}, 마지막 에폭 후에는 "
    "미리 정한 학습률 가운데 가장 적을 때 {best}(학습률 {best_rate:g}), 가장 많을 때 {worst}(학습률 "
    "{worst_rate:g})이다. 시드 평균.",
    "answer.dead_by_set": "{factor}에 따라, 각자 미리 정한 학습률에서: {levels}.",
    "chart.at_end": "마지막 에폭 후",
    "chart.note": "시드 평균과 95% 신뢰구간(t 분포, 시드 5개부터). ×: 실패한 실행(발산한 실행이 있으면 중앙값).",
    "chart.dead_note": "시드 평균과 95% 신뢰구간(t 분포, 시드 5개부터). 발산한 실행이 있으면 없다. ×: 우연 수준에 "
    "머문 실행.",
    "chart.medians_note": "마지막 에폭 후 시드의 중앙값, 각자의 최적 또는 미리 정한 학습률에서. ×: 실패한 실행.",
    "chart.median_note": "각자의 최적 또는 미리 정한 학습률에서 시드의 중앙값과 범위. ×: 실패한 실행.",
    "chart.rates_note": "각각 검증에서 가장 좋은 학습률. ×: 실패한 실행. 옅은 선: 규칙을 따를 때의 값.",
    "chart.once": "프로그램마다 한 번 잰 값, 컴파일을 뺀 전체 시간 기준. 옅은 막대: 학습이 {seconds:g}초보다 짧아 "
    "말할 수 없음.",
    "key.rule_failed": "{rule}: {k}/{n} 실패",
    "chart.reckoned": "층의 크기로 계산한 값이며 측정한 것이 아니다.",
    "chart.series": "{name}, {where}",
    "chart.vanished": "소실 기준",
    "chart.linear": "선형 규칙",
    "chart.square_root": "제곱근 규칙",
    "chart.bins": "{name}: 구간별 개수",
    "chart.everything": "{name}: 모든 활성값",
    "chart.losses": "학습 중 마지막 층의 기울기",
    "chart.mixed_losses": "정밀도별 각 손실 함수",
    "chart.large_batches": "배치 크기별로 첫 층에 도달하는 기울기",
    "chart.dead_units": "마지막 에폭 후의 죽은 ReLU, 학습률별",
    "chart.mixed_activations": "정밀도별 각 활성화 함수",
    "chart.distributions": "복제본의 스냅숏 하나의 메모리, 본 표본 수에 따라",
    "chart.scaling": "초당 표본",
    "chart.clipping": "정밀도별 클리핑 유무",
    "chart.rate_by_batch": "배치 크기별 최적 학습률",
    "axis.share_of_training": "학습 진행률",
    "axis.gradient_last": "기울기 노름, 마지막 층",
    "axis.examples": "표본",
    "axis.kibibytes": "KiB",
    "axis.examples_per_second": "초당 표본, 모든 복제본",
    "axis.effective_rate": "최적 학습률",
    "column.gradient_start": "마지막 층의 기울기, 처음",
    "column.gradient_end": "마지막 층의 기울기, 끝",
    "column.first_step": "학습률 x 기울기, 첫 스텝",
    "column.common": "공통 학습률",
    "column.steps_at_common": "그때 목표까지의 스텝",
    "column.skipped_steps": "건너뛴 스텝 (중앙값)",
    "column.loss_scale": "끝의 손실 스케일 (중앙값)",
    "column.underflow": "언더플로된 기울기 (중앙값)",
    "column.minus_float32": "float32와의 차이 (%p)",
    "column.minus_unclipped": "클리핑 없음과의 차이 (%p)",
    "column.failed_anywhere": "모든 학습률에서 실패",
    "column.dead_first": "죽은 비율, 처음",
    "column.dead_last": "죽은 비율, 끝",
    "column.layers": "층",
    "column.bins": "구간",
    "column.snapshots": "스냅숏",
    "column.examples": "진단 표본",
    "column.kept_bytes": "남긴 것 (KiB)",
    "column.probe_bytes": "진단 표본의 모든 활성값 (KiB)",
    "column.train_bytes": "훈련 데이터의 모든 활성값 (KiB)",
    "column.side_by_side": "타일당 복제본",
    "column.examples_per_second": "표본 / 초",
    "column.effective_rate": "쓰인 학습률",
    "report.claimed": "흔한 주장과 이 실행의 측정",
    "report.claimed_note": "정밀도만 다르고 나머지가 같은 프로그램끼리 비교한다. 이 실행이 측정하지 않은 것을 다른 "
    "데서 가져와 적지 않는다.",
    "column.claim": "주장",
    "column.measured": "이 실행의 측정",
    "column.why": "이유",
    "claimed.not_measured": "측정하지 않음",
    "claimed.unknown_device": "기록 없음",
    "claimed.span": "{low}~{high}",
    "claimed.memory_measured": "{precision}: {span} (프로그램 {count}쌍, 인자와 임시 메모리)",
    "claimed.speed_measured": "{precision}: 초당 스텝이 float32의 {span}배 (프로그램 {count}쌍, 각각 한 번 잼)",
    "claimed.compile_measured": "효과는 재지 않음. 컴파일 또는 읽기 {compile}초(프로그램 합계), 학습 {train}초",
    "claimed.memory": "혼합 정밀도는 메모리를 절반으로 줄인다",
    "claimed.memory_why": "매개변수와 옵티마이저의 상태는 float32로 남고 데이터셋도 그렇다. 절반이 되는 것은 "
    "활성값과 그 기울기뿐이다. 컴파일된 프로그램에서 읽은 값이며, 16비트로 실행한 것이 없거나 컴파일러가 알려 주지 "
    "않으면 알 수 없다.",
    "claimed.speed": "혼합 정밀도는 1.5~2배 빠르다",
    "claimed.speed_why": "16비트 연산 장치가 있고 그것을 채울 만큼 행렬곱이 클 때에 성립한다. 그런 장치가 없는 "
    "CPU는 변환을 되풀이한다. 이 실행의 장치: {device}.",
    "claimed.gpu": "GPU는 CPU보다 5~10배 빠르다",
    "claimed.gpu_why": "한 번의 실행은 한 종류의 장치만 쓴다(이 실행: {device}). 이렇게 작은 신경망은 여러 "
    "복제본을 나란히 학습해야 GPU를 채운다. 두 컴퓨터에서 벤치마크(python -m benchmarks)를 돌리면 알 수 "
    "있다.",
    "claimed.loading": "고정(pinned) 메모리와 작업 프로세스가 데이터 로딩 병목을 없앤다",
    "claimed.loading_why": "없앨 병목이 없다. 데이터는 처음부터 장치에 있고 배치는 컴파일된 반복문 안에서 모으므로 "
    "학습 중에는 아무것도 읽어 들이지 않는다.",
    "claimed.autotuning": "커널 자동 조정은 학습을 빠르게 한다",
    "claimed.autotuning_why": "XLA는 컴파일할 때 커널을 고른다(GPU에서는 여러 개를 시험한다). 그 시간은 학습과 "
    "따로 컴파일 시간에 들어 있다. 자동 조정 없이 학습한 시간은 재지 않았다.",
    "claimed.cache": "장치의 캐시를 비우면 메모리가 확보된다",
    "claimed.cache_why": "여기서는 캐시를 비우지 않는다. 프로그램의 버퍼는 한 번 확보되어 스텝마다 다시 "
    "쓰이고(상태를 넘겨준다) 데이터는 끝나면 돌려준다.",
    "report.timing_rows": "모든 프로그램 ({count}행)",
    "column.argument_bytes": "인자 (MiB)",
    "column.temporary_bytes": "임시 (MiB)",
    "memory.limit": "전체 {size}",
    "memory.peak": "최대 {size} 사용",
    "number.date": "{when:%Y-%m-%d %H:%M} {zone}",
}
