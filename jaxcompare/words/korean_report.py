"""Korean: measures, curves and environment of the report, key by key as in `english_report`."""

from __future__ import annotations

REPORT: dict[str, str] = {
    "level.True": "예",
    "level.False": "아니요",
    "clip_norm.inf": "없음",
    "learning_rate_rule.fixed": "규칙 없음",
    "learning_rate_rule.linear": "선형 규칙",
    "learning_rate_rule.square_root": "제곱근 규칙",
    "headline.told": "{title}, {where}: {told} ({n}).",
    "headline.told_seen": "{title}, {where}: {told} ({n}, 차이를 보이지 못한 곳에서 약 {half:.2f}%p보다 작은 "
    "차이는 가려낼 수 없었다).",
    "headline.shown": "{winner}이(가) {loser}보다 {difference:.2f}%p 높다",
    "headline.none": "차이를 보이지 못함: {pairs}",
    "headline.few": "가려내기에는 시드가 너무 적음: {pairs}",
    "headline.failed": "발산한 실행이 있어 평균 차이가 없음: {pairs}",
    "headline.pair": "{first} 대 {second}({difference}%p)",
    "headline.pair_plain": "{first} 대 {second}",
    "headline.why": "{name}: {why}",
    "headline.dead": "마지막에 은닉 유닛의 {share:.1%}가 죽어 있음",
    "headline.vanishing": "초기 상태에서 첫 층의 기울기 노름이 마지막 층의 {ratio:.1g}배",
    "headline.turns": "다만 학습률의 선택에 달려 있다. 검증에서 {rate:g}만큼 좋은 {near:g}에서 {name}의 결과는 "
    "이와 다르다",
    "finding.under_tuned_claimed": "{name}: 충분히 조정되지 않았다. 자신의 특수한 경우인 {special}보다 "
    "{difference:.2f}%p [{low:.2f}, {high:.2f}] 낮다(n = {n}, p {p_value}, 주장 {family}개에 대해 보정).",
    "finding.near_tie": "{name}: 학습률 {near:g}은(는) 검증에서 최적 학습률 {rate:g}만큼 좋다(차이 {gap:.2f}%p, "
    "표준오차 하나보다 작음, n = {n}).",
    "finding.near_tie_claim": "{name}: 학습률 {near:g}은(는) 검증에서 최적 학습률 {rate:g}만큼 좋다(차이 "
    "{gap:.2f}%p, 표준오차 하나보다 작음, n = {n}). {other}과(와)의 차이는 {rate:g}에서 {difference_best:+.2f}%p(p "
    "{p_best}), {near:g}에서 {difference_near:+.2f}%p(p {p_near})이다. 학습률을 고른 시드에서 구했고 보정하지 "
    "않았다.",
    "cell.median": "중앙값 {value}",
    "cell.median_range": "중앙값 {value}, {low}에서 {high}까지",
    "cell.cut": "{value}*",
    "report.cut": "*: 스튜던트 t 분포의 구간이 0에서 1까지를 벗어나 그 끝에서 잘랐다. 디스크의 표에는 그대로 있다.",
    "cell.minus": "{first} - {second}",
    "cell.nowhere": "없음",
    "cell.chosen": "{value} (선택됨)",
    "cell.plain": "{value}",
    "measure.effects": "각 요인이 모든 수준과 학습률에서 미치는 효과",
    "measure.effects_note": "시드별로 짝지은 테스트 정확도 차이(퍼센트포인트). p값은 이 표의 행 전체에 대해 "
    "홀름(Holm) 방법으로 보정했다. 여기에는 고르거나 미리 선언한 것이 없다. 참고용이며 주장의 근거가 아니다.",
    "measure.convergence": "수렴: 얼마나 빨리",
    "measure.convergence_note": "검증 정확도 {target:g}에 이르기까지. 시드의 중앙값이며 도달하지 못하면 무한대로 "
    "본다. 초는 함께 학습하는 복제본들의 프로그램 실행 시간을 복제본 수로 나눈 것으로, 컴파일은 빠져 있다. 면적은 "
    "본 표본 전체에 걸친 검증 정확도 곡선의 평균 높이와 95% 신뢰구간이다.",
    "measure.area_note": "면적은 본 표본 전체에 걸친 검증 정확도 곡선의 평균 높이와 95% 신뢰구간이다.",
    "measure.at_common": "공통 학습률에서",
    "measure.stability": "안정성: 얼마나 고르게",
    "measure.stability_note": "시드의 중앙값. 후반 편차: 평가한 에폭의 마지막 {late:.0%}(적어도 셋)에서 검증 "
    "정확도의 표준편차(퍼센트포인트). 최대 상승: 이웃한 두 평가 에폭 사이에서 훈련 손실이 가장 크게 오른 폭. "
    "스파이크: 훈련 손실이 그 이전 최솟값의 {spike:g}배를 넘게 오른 것.",
    "measure.gradients": "기울기 흐름: 첫 층까지 얼마나 도달하는가",
    "measure.gradients_note": "첫 층의 기울기 노름을 마지막 층의 것으로 나눈 값, 첫 스텝 전과 마지막 에폭 후(시드 "
    "중앙값). 마지막 층부터 거슬러 갈 때 노름이 마지막 층의 {threshold:g}배보다 작아지는 첫 층에서 소실된 것으로 "
    "본다. 증가: 어느 층의 노름이 처음 값에 비해 커진 최대 배율.",
    "measure.sensitivity": "모든 학습률",
    "measure.sensitivity_note": "평균과 95% 신뢰구간. 발산한 실행이 있으면, 그것이 절반이 되지 않는 한 중앙값. "
    "최고 대비: 최적 학습률의 평균 검증 정확도보다 얼마나 낮은가(퍼센트포인트).",
    "measure.trials": "시도 횟수에 따른 기대 최고 정확도",
    "measure.trials_note": "한 수준의 설정 중 그만큼을 비복원으로 뽑아 조정할 때 기대되는 결과. 최고 검증 정확도와 "
    "그때의 테스트 정확도, 시드에 대한 95% 신뢰구간. 발산한 실행은 우연 수준으로 친다.",
    "column.variant": "변형",
    "column.at": "조건",
    "column.effect_of": "첫째 - 둘째",
    "column.points": "차이 (%p)",
    "column.learning_rate": "학습률",
    "column.examples_to_target": "목표까지의 표본",
    "column.seconds_to_target": "목표까지의 초",
    "column.area": "곡선 아래 면적",
    "column.late_deviation": "후반 편차 (%p)",
    "column.largest_jump": "손실의 최대 상승",
    "column.spikes": "스파이크",
    "column.ratio_initial": "첫 층 / 마지막 층, 처음",
    "column.vanished_initial": "소실되는 층, 처음",
    "column.ratio_final": "첫 층 / 마지막 층, 끝",
    "column.vanished_final": "소실되는 층, 끝",
    "column.gradient_growth": "증가",
    "column.below_best": "최고 대비 (%p)",
    "column.trials": "시도",
    "curves.caption": "살펴보는 곡선: {where}",
    "curves.name": "{name} ({notes})",
    "curves.hint": "선: 시드 평균, 띠: 95% 신뢰구간(t 분포, 시드 5개부터), ×: 발산한 실행이 있어 선이 끊긴 곳. "
    "가는 선: 고르지 않은 학습률. 곡선을 가리키면(또는 두드리거나 화살표 키를 쓰면) 그 에폭의 값이 보이고, 이름을 "
    "누르면 선이 켜지고 꺼진다.",
    "script.sort": "이 열로 정렬",
    "script.best": "최적 학습률",
    "script.all": "모든 학습률",
    "script.nothing": "없음",
    "script.empty": "켜진 선이 없다.",
    "script.gap": "평균 없음",
    "environment.driver": "드라이버",
    "environment.cuda": "CUDA",
    "environment.precision": "계산 정밀도",
    "environment.matmul_precision": "float32 행렬곱의 정밀도",
    "environment.compile_seconds": "컴파일 (초, 프로그램 합계)",
    "environment.train_seconds": "학습 (초, 프로그램 합계)",
    "environment.evaluate_seconds": "평가 (초, 프로그램 합계)",
    "environment.memory": "장치 메모리",
    "environment.host_memory": "컴퓨터 메모리",
    "environment.peak": "최대 사용량",
    "environment.not_used": "쓰지 않음",
    "report.not_drawn": "이 그림은 그리지 못했다 ({name}): {error}",
    "report.not_told": "이 부분은 만들지 못했다: {error}",
    "failure.line": "만들지 못함: {name}: {error}",
}
